"""Text to lockfile: which format it is, and then that format's own reader."""

from condarium.domain.lockfile import LockedSpecification, Lockfile, conda_lock, explicit, rattler
from condarium.domain.lockfile.origin import COMMENT, parse_origins
from condarium.domain.naming import check_name
from condarium.domain.specification.fields import MAX_DESCRIPTION, CheckMatchSpec
from condarium.domain.specification.nodes import fault
from condarium.domain.specification.reading import read_yaml
from condarium.errors import InvalidInput, SpecificationError

#: lockfiles are longer than environment.yml files by this factor, in bytes and in values
SLACK = 16
FORMATS = "allowed are conda-lock (version 1, YAML or JSON), an explicit list (@EXPLICIT) and rattler's or pixi's lock"


def parse(
    text: str, *, name: str, description: str, platform: str, check_match_spec: CheckMatchSpec, local: bool = False
) -> LockedSpecification:
    """The specification that is a lockfile. `platform` is meant by an explicit list that does not say any; `local`
    allows `file:///` addresses.

    Raises:
        SpecificationError: the first fault found, with its line or field.
    """
    if not name:
        raise fault("it is missing; a lockfile has no name of its own", field="environment_name")
    try:
        check_name("environment", name)
    except InvalidInput as error:
        raise SpecificationError(f"environment_name: {error}", field="environment_name") from None
    if len(description) > MAX_DESCRIPTION:
        raise fault(f"at most {MAX_DESCRIPTION:,} characters are allowed", field="environment_description")
    return LockedSpecification(
        name, description, read(text, platform=platform, check_match_spec=check_match_spec, local=local)
    )


def read(text: str, *, platform: str, check_match_spec: CheckMatchSpec, local: bool) -> Lockfile:
    """Raises SpecificationError."""
    if explicit.is_explicit(text):
        return explicit.read(text, platform=platform, check_match_spec=check_match_spec, local=local)
    document = read_yaml(text, slack=SLACK, expected=f"a lockfile is; {FORMATS}")
    keys = document.entries
    if "package" in keys and "metadata" in keys:
        return conda_lock.read(document, check_match_spec=check_match_spec, local=local)
    if "environments" in keys and "packages" in keys:
        origins = {}
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith(COMMENT):
                written = line.removeprefix(COMMENT)
                origins = parse_origins(written, number, check_match_spec=check_match_spec, local=local)
        return rattler.read(document, origins, local=local)
    if "dependencies" in keys:
        raise fault(f"this is an environment.yml, not a lockfile: leave out is_lockfile; {FORMATS}", line=document.line)
    raise fault(f"this is no lockfile that is known here; {FORMATS}", line=document.line)

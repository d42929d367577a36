"""The lines of a `pip:` section: PEP 508 requirements, nothing that changes how or where pip installs."""

import re
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from condarium.domain.credentials import has_credential, show
from condarium.domain.specification.nodes import fault

_OPTIONS = {
    "-r": "a requirements file is not sent along; write its lines here",
    "-c": "a constraints file is not sent along; write its lines here as requirements",
    "-e": "an editable install needs a directory of yours; publish a wheel and name it here",
    "-i": "an index is a setting of the server (CONDARIUM_PIP_INDEX_URL)",
    "-f": "links are a setting of the server (CONDARIUM_PIP_INDEX_URL)",
}
_LONG = {
    "--requirement": "-r",
    "--constraint": "-c",
    "--editable": "-e",
    "--index-url": "-i",
    "--extra-index-url": "-i",
    "--pre-index-url": "-i",
    "--trusted-host": "-i",
    "--no-index": "-i",
    "--find-links": "-f",
}
_LOCAL = re.compile(r"(?:\.{0,2}[/\\]|~|[A-Za-z]:\\|file:)", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://")
MAX_LINE = 2048


def parse_requirement(text: str, line: int) -> str:
    """The requirement in its one normal form.

    Raises:
        SpecificationError: an option, a path, a URL without a name, a credential, or no PEP 508 requirement.
    """
    if len(text) > MAX_LINE:
        raise fault(f"found {len(text):,} characters; at most {MAX_LINE:,} are allowed", line=line, field="pip")
    if has_credential(text):
        raise fault(
            "found a URL with a credential in it (not shown); credentials are settings of the server: "
            "CONDARIUM_PIP_INDEX_URL holds the index with its user and password",
            line=line,
            field="pip",
        )
    _refuse_options(text, line)
    if _LOCAL.match(text) or re.search(r"@\s*(?:file:|[./~])", text, re.IGNORECASE):
        raise fault(
            f"{show(text)} is a path, and only you have it; name a package or the URL of a wheel",
            line=line,
            field="pip",
        )
    if _URL.match(text):
        raise fault(f"{show(text)} has no name; write `name @ {show(text)[1:-1]}`", line=line, field="pip")
    try:
        requirement = Requirement(text)
        requirement.name = canonicalize_name(requirement.name, validate=True)
    except (InvalidRequirement, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise fault(
            f"{show(text)} is not a requirement (PEP 508, as in `flask>=3`): {reason}", line=line, field="pip"
        ) from None
    if requirement.url and not requirement.url.lower().startswith(("https://", "http://")):
        raise fault(
            f"{show(text)} points at {show(requirement.url.split(':')[0])}; wheels at http(s) URLs are allowed",
            line=line,
            field="pip",
        )
    if requirement.url and not urlsplit(requirement.url).path.lower().endswith(".whl"):
        raise fault(
            f"{show(text)} is no wheel; only wheels (.whl) are installed, so build one and name it",
            line=line,
            field="pip",
        )
    return str(requirement)


def requirement_name(text: str) -> str:
    """The normalised name of what `parse_requirement` returned."""
    return canonicalize_name(Requirement(text).name)


def _refuse_options(text: str, line: int) -> None:
    """`-r file`, `-rfile`, `--index-url=...`, and options behind a requirement."""
    if text.startswith("-"):
        word = re.split(r"[\s=]", text, maxsplit=1)[0]
        short = _LONG.get(word, word[:2])
        why = _OPTIONS.get(short, "options are not allowed here, only requirements")
        raise fault(
            f"found the option {show(word[:20] if word.startswith('--') else word[:2])}; {why}", line=line, field="pip"
        )
    behind = re.search(r"\s(--[A-Za-z][A-Za-z-]{0,30})", text)
    if behind:
        why = "hashes are locked by Condarium itself" if behind[1] == "--hash" else "only requirements are allowed"
        raise fault(f"found the option {behind[1]} behind a requirement; {why}", line=line, field="pip")

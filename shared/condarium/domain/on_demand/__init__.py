"""Images asked for by their packages: `dynamic/python.eq.3.11/numpy.ge.2` is an environment nobody wrote down.

`parse` reads the components of such a repository, `tags.parse_tag` what may stand behind its colon.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from condarium.domain.on_demand.components import match_specs
from condarium.errors import InvalidInput

#: where such environments live; reserved, so that nobody else makes any there
NAMESPACE = "dynamic"
#: what repositories begin with; the second is conda-store's
PREFIXES = (NAMESPACE, "conda-store-dynamic")

MOST_PACKAGES = 50

#: what is no package: it comes first in the name
SHELL = "shell"
PLATFORMS = {"arm64": "linux-aarch64"}
META = (SHELL, *PLATFORMS)

_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}-[0-9a-f]{12}\Z")


@dataclass(frozen=True)
class Asked:
    """What a repository's name asks for.

    `packages` are match specs, one for each package, sorted: their order in the name does not matter. `shell` wants an
    interactive shell and its tools besides; `platform` None is what the settings say.
    """

    packages: tuple[str, ...]
    shell: bool = False
    platform: str | None = None

    @property
    def environment(self) -> str:
        """The name of the environment: readable, and another one for anything else that is asked for."""
        platforms = [name for name, platform in PLATFORMS.items() if platform == self.platform]
        meta = [SHELL, *platforms] if self.shell else platforms
        names = [*meta, *(re.split(r"[ =<>!,]", package)[0] for package in self.packages)]
        told = "\n".join([*(f"/{name}" for name in meta), *self.packages])
        readable = "-".join(names)[:40].strip("-._")
        return f"{readable}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def parse(components: Sequence[str]) -> Asked:
    """What the components of a repository behind its prefix ask for.

    Raises InvalidInput that names the component, and what to write instead.
    """
    meta, rest = _without_meta(components)
    if not rest and SHELL not in meta:
        raise InvalidInput(f"name packages: {NAMESPACE}/{'/'.join([*meta, 'python.eq.3.11', 'numpy.ge.2'])}")
    if len(rest) > MOST_PACKAGES:
        raise InvalidInput(
            f"{len(rest)} packages are too many for an image's name, at most {MOST_PACKAGES} fit; "
            "submit an environment.yml instead"
        )
    platforms = [PLATFORMS[name] for name in meta if name in PLATFORMS]
    return Asked(match_specs(rest), SHELL in meta, platforms[0] if platforms else None)


def _without_meta(components: Sequence[str]) -> tuple[list[str], list[str]]:
    count = next((place for place, name in enumerate(components) if name not in META), len(components))
    meta, rest = list(components[:count]), list(components[count:])
    late = [name for name in rest if name in META]
    if late:
        raise InvalidInput(
            f"{late[0]!r} is no package, and comes first in the name: {'/'.join([NAMESPACE, *late, '...'])}"
        )
    return meta, rest


def is_environment(name: str) -> bool:
    """Whether a component is the name of such an environment, as lists show it, rather than a package's."""
    return _ENVIRONMENT.match(name) is not None

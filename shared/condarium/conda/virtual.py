"""Virtual packages: the machine that a lock is for. Never detected from a host, so that a lock is the same everywhere.

Written as in `conda info`: `__glibc=2.28=0`.
"""

from collections.abc import Iterable, Mapping

from rattler import GenericVirtualPackage, PackageName, Version
from rattler.package.build_string import BuildString

from condarium.domain.specification.overrides import apply_overrides

_LINUX = ("__unix=0=0", "__linux=5.10=0", "__glibc=2.28=0")

DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "linux-64": (*_LINUX, "__archspec=1=x86_64"),
    "linux-aarch64": (*_LINUX, "__archspec=1=aarch64"),
    "linux-ppc64le": (*_LINUX, "__archspec=1=ppc64le"),
    "linux-s390x": (*_LINUX, "__archspec=1=s390x"),
    "linux-riscv64": (*_LINUX, "__archspec=1=riscv64"),
    "osx-64": ("__unix=0=0", "__osx=11.0=0", "__archspec=1=x86_64"),
    "osx-arm64": ("__unix=0=0", "__osx=11.0=0", "__archspec=1=m1"),
    "win-64": ("__win=10=0", "__archspec=1=x86_64"),
    "win-arm64": ("__win=11=0", "__archspec=1=aarch64"),
}

PLATFORMS = tuple(DEFAULTS)


def assumed(platform: str, setting: Iterable[str] = (), overrides: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The virtual packages of `platform`, sorted: defaults, then the setting, then the specification's own.

    `overrides` are its CONDA_OVERRIDE_* variables; an empty version says that the virtual package is not there.
    Raises ValueError, with a sentence, for a malformed one or an unknown platform.
    """
    if platform not in DEFAULTS:
        raise ValueError(f"the platform {platform!r} is not known; known are {', '.join(DEFAULTS)}")
    chosen: dict[str, str] = {}
    for text in (*DEFAULTS[platform], *setting):
        name, version, build = parts_of(text)
        chosen[name] = f"{name}={version}={build}"
    found = apply_overrides(overrides or {}, platform, chosen.values())
    for text in found:
        parts_of(text)
    return found


def parts_of(text: str) -> tuple[str, str, str]:
    """Name, version, build of `__glibc=2.28=0`; version and build default to 0. Raises ValueError."""
    name, _, rest = text.strip().partition("=")
    version, _, build = rest.partition("=")
    version, build = version or "0", build or "0"
    try:
        if not name.startswith("__"):
            raise ValueError("its name begins with two underscores")
        PackageName(name)
        Version(version)
        BuildString(build)
    except Exception as error:
        raise ValueError(f"{text!r} is not a virtual package such as __glibc=2.28: {error}") from None
    return name, version, build


def to_rattler(texts: Iterable[str]) -> list[GenericVirtualPackage]:
    """The solver's form of what `assumed` returned."""
    packages = []
    for text in texts:
        name, version, build = parts_of(text)
        packages.append(GenericVirtualPackage(PackageName(name), Version(version), BuildString(build)))
    return packages


def version_of(texts: Iterable[str], name: str) -> str | None:
    """The version of the virtual package `name` among `texts`, or None."""
    return next((version for n, version, _ in map(parts_of, texts) if n == name), None)

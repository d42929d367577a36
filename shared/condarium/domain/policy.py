"""What settings make of a specification when it is submitted: defaults filled in, packages added, the rest refused.

What comes out is what is hashed, stored and built; a later change of settings does not reach it. Pure: how a match
spec is read is handed in.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from condarium.domain.credentials import redact
from condarium.domain.image import options as image_options
from condarium.domain.lockfile import CONDA, PIP, LockedSpecification, Lockfile
from condarium.domain.settings import Effective, channel_url
from condarium.domain.settings.keys import DEFAULT_ALIAS
from condarium.domain.specification import Specification
from condarium.domain.specification.fields import check_dependencies
from condarium.domain.specification.pip import requirement_name
from condarium.errors import PolicyError


@dataclass(frozen=True)
class Wanted:
    """What a match spec is about: the normalised name (None for a bare URL), the channel and the URL it names."""

    name: str | None
    channel: str | None
    url: str | None


ReadMatchSpec = Callable[[str], Wanted]


def apply(specification: Specification, settings: Effective, *, read: ReadMatchSpec) -> Specification:
    """The specification as it is built: what it leaves open is settled here.

    Raises:
        PolicyError: a channel or platform that is not allowed, a required package that is missing.
        SpecificationError: there is still no dependency.
    """
    filled = _with_platforms(_with_packages(_with_channels(specification, settings), settings, read), settings)
    check_dependencies(filled.dependencies, filled.pip)
    check(filled, settings, read=read)
    return replace(filled, options=options(filled, settings))


def check(specification: Specification, settings: Effective, *, read: ReadMatchSpec) -> None:
    """Raises PolicyError, in a sentence that names what is wrong and what is allowed."""
    _check_channels(specification, settings, read)
    _check_required(specification, settings, read)
    _check_platforms(specification, settings)


def apply_to_lockfile(
    specification: LockedSpecification, settings: Effective, *, read: ReadMatchSpec
) -> LockedSpecification:
    """As `apply`, for what is locked already. Raises PolicyError."""
    check_lockfile(specification.lockfile, settings, read=read)
    return replace(specification, options=options(specification.lockfile, settings))


def options(specification: Specification | Lockfile, settings: Effective) -> Mapping[str, Any]:
    """The settings that change the bytes of what is built, where they differ from what is built in."""
    found: dict[str, Any] = {}
    if settings["conda_channel_alias"] != DEFAULT_ALIAS:
        found["channel_alias"] = settings["conda_channel_alias"]
    if settings["link_scripts"]:
        found["link_scripts"] = True
    assumed = {
        platform: list(texts)
        for platform, texts in settings["virtual_packages"].items()
        if platform in specification.platforms
    }
    if assumed:
        found["virtual_packages"] = assumed
    return found


def engine(settings: Effective) -> dict[str, Any]:
    """What is kept with the build for the builder and the packager; only what an administrator has set."""
    keys = ("conda_channel_alias", "conda_max_solve_time", "virtual_packages", "link_scripts", "build_artifacts")
    return {key: value for key in (*keys, *image_options.KEYS) if (value := settings.find(key)) is not None}


def _with_channels(specification: Specification, settings: Effective) -> Specification:
    default = settings.find("conda_default_channels")
    if specification.channels or specification.nodefaults or not default:
        return specification
    return replace(specification, channels=tuple(default))


def _with_packages(specification: Specification, settings: Effective, read: ReadMatchSpec) -> Specification:
    conda, pip = specification.dependencies, specification.pip
    if not conda and not pip:
        conda = tuple(settings["conda_default_packages"])
    if not pip:
        pip = tuple(settings["pypi_default_packages"])
    conda = _including(conda, settings["conda_included_packages"], lambda text: read(text).name)
    pip = _including(pip, settings["pypi_included_packages"], requirement_name)
    return replace(specification, dependencies=conda, pip=pip)


def _including(there: tuple[str, ...], added: Iterable[str], name: Callable[[str], str | None]) -> tuple[str, ...]:
    wanted = tuple(added)
    if not wanted:
        return there
    names = {name(text) for text in there}
    return (*there, *(text for text in wanted if name(text) not in names))


def _with_platforms(specification: Specification, settings: Effective) -> Specification:
    wanted = settings.find("conda_solve_platforms")
    if specification.platforms_given or wanted is None:
        return specification
    platforms = tuple(wanted)
    # Only what differs from the built-in default is hashed, so that the hash is the same on servers that set nothing.
    return replace(specification, platforms=platforms, platforms_given=platforms != _BUILT_IN_PLATFORMS)


_BUILT_IN_PLATFORMS = Specification("x", (), ()).platforms


def _check_channels(specification: Specification, settings: Effective, read: ReadMatchSpec) -> None:
    allowed = settings["conda_allowed_channels"]
    if not allowed:
        return
    alias, urls = settings["conda_channel_alias"], settings.allowed_urls
    named = list(specification.channels)
    for text in specification.dependencies:
        wanted = read(text)
        if wanted.channel is not None:
            named.append(wanted.channel)
        if wanted.url is not None and not any(wanted.url.startswith(f"{url}/") for url in urls):
            raise PolicyError(
                f"the package {redact(wanted.url)} is not of an allowed channel; allowed here are {', '.join(allowed)} "
                "(setting conda_allowed_channels)"
            )
    _refuse_channels([name for name in dict.fromkeys(named) if channel_url(name, alias) not in urls], allowed)


def _refuse_channels(refused: Sequence[str], allowed: Sequence[str]) -> None:
    if refused:
        what = "channel" if len(refused) == 1 else "channels"
        verb = "is" if len(refused) == 1 else "are"
        raise PolicyError(
            f"the {what} {', '.join(map(redact, refused))} {verb} not allowed; allowed here are {', '.join(allowed)} "
            "(setting conda_allowed_channels)"
        )


def _check_required(specification: Specification, settings: Effective, read: ReadMatchSpec) -> None:
    if settings["conda_required_packages"]:
        there = {read(text).name for text in specification.dependencies}
        _require("conda_required_packages", settings, there, lambda text: read(text).name, "dependencies")
    if settings["pypi_required_packages"]:
        names: set[str | None] = {requirement_name(text) for text in specification.pip}
        _require("pypi_required_packages", settings, names, requirement_name, "pip section")


def _require(
    key: str, settings: Effective, there: set[str | None], name: Callable[[str], str | None], where: str
) -> None:
    missing = [text for text in settings[key] if name(text) not in there]
    if missing:
        what = "the package" if len(missing) == 1 else "the packages"
        raise PolicyError(f"{what} {', '.join(missing)} must be in the {where} (setting {key})")


def _check_platforms(specification: Specification, settings: Effective) -> None:
    known = settings["conda_platforms"]
    _refuse_platforms([platform for platform in specification.platforms if known and platform not in known], known)


def _refuse_platforms(refused: Sequence[str], known: Sequence[str]) -> None:
    if refused:
        allowed = ", ".join(platform for platform in known if platform != "noarch")
        raise PolicyError(
            f"nothing is built for {', '.join(refused)} here; the platforms are {allowed} (setting conda_platforms)"
        )


def check_lockfile(lockfile: Lockfile, settings: Effective, *, read: ReadMatchSpec) -> None:
    """What of the settings holds for packages that are locked already: nothing is added to them.

    Raises PolicyError, as `check`.
    """
    allowed, alias, urls = settings["conda_allowed_channels"], settings["conda_channel_alias"], settings.allowed_urls
    refused = [channel for channel in lockfile.package_channels if allowed and channel_url(channel, alias) not in urls]
    _refuse_channels(refused, allowed)
    for key, manager, name in (
        ("conda_required_packages", CONDA, lambda text: read(text).name),
        ("pypi_required_packages", PIP, requirement_name),
    ):
        for platform in lockfile.platforms if settings[key] else ():
            there: set[str | None] = {_normal(item.name, manager) for item in lockfile.of(platform, manager)}
            _require(key, settings, there, name, f"lockfile for {platform}")
    known = settings["conda_platforms"]
    _refuse_platforms([platform for platform in lockfile.platforms if known and platform not in known], known)


def _normal(name: str, manager: str) -> str:
    return requirement_name(name) if manager == PIP else name.lower()

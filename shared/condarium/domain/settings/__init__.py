"""Settings by level: what an administrator says about what is built. Pure: keys, levels, merging.

A value of a nearer level replaces that of a farther one, whole: built in < deployment (`CONDARIUM_*`) < global
< namespace < environment. What each key does stands in `keys`, what it may hold in `values`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from condarium.domain.settings.keys import KEYS, Scope
from condarium.domain.settings.values import CheckMatchSpec, check_value
from condarium.errors import InvalidInput


class Level(IntEnum):
    """The nearer, the greater."""

    BUILT_IN = 0
    DEPLOYMENT = 1
    GLOBAL = 2
    NAMESPACE = 3
    ENVIRONMENT = 4

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", " ")


Levels = Mapping[Level, Mapping[str, Any]]


@dataclass(frozen=True)
class Effective:
    """What holds in one place: every key has a value, and the level that it comes from.

    `allowed_urls` are conda_allowed_channels by the alias of their own level: a nearer one must not change whom they
    mean.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, Level]
    allowed_urls: frozenset[str] = frozenset()

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def find(self, key: str) -> Any:
        """The value if an administrator set one, else None."""
        return self.values[key] if self.origins[key] > Level.BUILT_IN else None


def merge(levels: Levels) -> Effective:
    """What holds where `levels` meet; keys that are not known (of a newer release) are left out."""
    values: dict[str, Any] = {name: key.default for name, key in KEYS.items()}
    origins = dict.fromkeys(KEYS, Level.BUILT_IN)
    allowed: frozenset[str] = frozenset()
    for level in sorted(levels):
        for name, value in levels[level].items():
            if name in KEYS:
                values[name], origins[name] = value, level
        if origins["conda_allowed_channels"] == level:
            alias = values["conda_channel_alias"]
            allowed = frozenset(channel_url(name, alias) for name in values["conda_allowed_channels"])
    return Effective(values, origins, allowed)


def check_changes(
    changes: Mapping[str, Any], level: Level, current: Effective, *, check_match_spec: CheckMatchSpec
) -> dict[str, Any]:
    """The changes in their one normal form, checked; None takes a value back, so that the level above holds.

    `current` is what holds now: a fixed key may be given as it is, and is left out.

    Raises InvalidInput, in conda-store's words where it has some: an unknown key, one that this level cannot have,
    a value that the key cannot hold.
    """
    unknown = [name for name in changes if name not in KEYS]
    if unknown:
        raise InvalidInput(f"Invalid setting keys {{{', '.join(repr(name[:80]) for name in sorted(unknown)[:20])}}}")
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        key = KEYS[name]
        _check_scope(name, key.scope, level)
        wanted = None if value is None else check_value(name, key, value, check_match_spec=check_match_spec)
        if key.fixed is not None:
            if wanted is not None and wanted != current[name]:
                raise InvalidInput(f"Setting {name} stays {current[name]!r}: {key.fixed}")
            continue
        checked[name] = wanted
    return checked


def _check_scope(name: str, scope: Scope, level: Level) -> None:
    if scope == Scope.GLOBAL and level > Level.GLOBAL:
        raise InvalidInput(f"Setting {name} is a global setting and cannot be set within a namespace or environment")
    if scope == Scope.NAMESPACE and level > Level.NAMESPACE:
        raise InvalidInput(f"Setting {name} is a setting of a namespace and cannot be set within an environment")


def weakened(above: Effective, current: Effective, after: Effective, changed: Collection[str]) -> str | None:
    """Which change needs an administrator of the installation, in a sentence; None when a namespace's own will do.

    `above` is what holds one level up, `current` what holds here now, `after` what will. What the level above requires
    or forbids can be narrowed, not widened.
    """
    for name in changed:
        if KEYS[name].guarded:
            return f"Setting {name} can be changed by an administrator of the installation only"
    if above["conda_allowed_channels"] and not {"conda_allowed_channels", "conda_channel_alias"}.isdisjoint(changed):
        allowed, wanted = _urls(above) | _urls(current), _urls(after)
        added = sorted(wanted - allowed) or ([] if wanted else ["every channel"])
        if added:
            return (
                f"the channels allowed here are {', '.join(sorted(allowed))}; "
                f"only an administrator of the installation can allow {', '.join(added)}"
            )
    for name in {"conda_required_packages", "pypi_required_packages"} & set(changed):
        missing = [package for package in above[name] if package in current[name] and package not in after[name]]
        if missing:
            return (
                f"Setting {name} must keep {', '.join(missing)}, which the level above requires; "
                "only an administrator of the installation can take it away"
            )
    return None


#: what a namespace is held to: its own administrators must not be rid of it by deleting it and making it anew
KEPT = frozenset(name for name, key in KEYS.items() if key.guarded)


def _urls(settings: Effective) -> set[str]:
    return {channel_url(name, settings["conda_channel_alias"]) for name in settings["conda_allowed_channels"]}


def channel_url(name: str, alias: str) -> str:
    """The canonical URL of a channel, without a slash at its end; as `conda.channels` makes it."""
    text = name.strip().rstrip("/")
    return text if "://" in text else f"{alias.rstrip('/')}/{text}"

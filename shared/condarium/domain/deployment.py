"""The settings of the deployment: the level between what is built in and what administrators set over REST.

Every service that submits reads the same `CONDARIUM_*` names, so that a specification means the same at each door.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from condarium.domain.settings.keys import KEYS
from condarium.domain.settings.values import CheckMatchSpec, check_value
from condarium.errors import ConfigError, InvalidInput

NAME = "CONDARIUM_SETTINGS"


@dataclass(frozen=True)
class Deployment:
    """Each field is `CONDARIUM_<FIELD>`; see `condarium.register` for what they mean."""

    default_namespace: str
    channel_alias: str
    default_channels: tuple[str, ...]
    platforms: tuple[str, ...]
    virtual_packages: Mapping[str, tuple[str, ...]]
    link_scripts: bool
    builder_solve_limit_seconds: float
    artifacts: tuple[str, ...]
    settings: Mapping[str, Any]
    indexed_channels: tuple[str, ...] | None = None

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """{key: value} as the level of the deployment. Raises ConfigError."""
        return self.checked(lambda text: None)

    def checked(self, check_match_spec: CheckMatchSpec) -> Mapping[str, Any]:
        """As `values`, with the match specs judged by `check_match_spec`. Raises ConfigError."""
        indexed = self.default_channels if self.indexed_channels is None else self.indexed_channels
        named = {
            "default_namespace": ("CONDARIUM_DEFAULT_NAMESPACE", self.default_namespace),
            "conda_channel_alias": ("CONDARIUM_CHANNEL_ALIAS", self.channel_alias),
            "conda_default_channels": ("CONDARIUM_DEFAULT_CHANNELS", self.default_channels),
            "conda_indexed_channels": ("CONDARIUM_INDEXED_CHANNELS", indexed),
            "conda_solve_platforms": ("CONDARIUM_PLATFORMS", self.platforms),
            "virtual_packages": ("CONDARIUM_VIRTUAL_PACKAGES", self.virtual_packages),
            "link_scripts": ("CONDARIUM_LINK_SCRIPTS", self.link_scripts),
            "conda_max_solve_time": ("CONDARIUM_BUILDER_SOLVE_LIMIT_SECONDS", self.builder_solve_limit_seconds),
            "build_artifacts": ("CONDARIUM_ARTIFACTS", self.artifacts),
        }
        found = {
            key: _checked(variable, key, value, check_match_spec)
            for key, (variable, value) in named.items()
            # An empty list of these is nobody's wish.
            if value != ()
        }
        # Of this one it is: then nothing is indexed.
        found.setdefault("conda_indexed_channels", [])
        for key, value in self.settings.items():
            if key not in KEYS:
                raise ConfigError(f"{NAME}: {key!r} is not a key of settings; they are {', '.join(KEYS)}")
            if KEYS[key].fixed is not None:
                raise ConfigError(f"{NAME}: {key} cannot be set: {KEYS[key].fixed}")
            if key in named:
                raise ConfigError(f"{NAME}: {key} has a variable of its own, {named[key][0]}")
            found[key] = _checked(NAME, key, value, check_match_spec)
        return found


def _checked(variable: str, key: str, value: Any, check_match_spec: CheckMatchSpec) -> Any:
    try:
        return check_value(key, KEYS[key], value, check_match_spec=check_match_spec)
    except InvalidInput as error:
        raise ConfigError(f"{variable}: {error}") from None

"""The specification: what a user asks for, as an environment.yml says it.

`parse` takes the YAML (or JSON, which is YAML) of a user, `from_wire` the object that clients and the database hold.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from condarium.domain.canonical import canonical_hash
from condarium.domain.credentials import show
from condarium.domain.specification import fields
from condarium.domain.specification.channels import channel_of, parse_channels
from condarium.domain.specification.nodes import Entries, fault
from condarium.domain.specification.overrides import apply_overrides
from condarium.domain.specification.reading import read_yaml
from condarium.domain.specification.variables import parse_variables

DEFAULT_PLATFORMS = ("linux-64",)
KEYS = ("name", "channels", "dependencies", "variables", "description", "platforms", "prefix")


@dataclass(frozen=True)
class Specification:
    """A checked environment.yml; lists are in the user's order.

    `channels` holds names and URLs without `nodefaults`; empty means the server's default channels, unless
    `nodefaults` is set. `overrides` are the CONDA_OVERRIDE_* variables, which are not in `variables`. `options` are
    the settings that change what is built (`policy.options`); no file holds them.
    """

    name: str
    channels: tuple[str, ...]
    dependencies: tuple[str, ...]
    pip: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    platforms: tuple[str, ...] = DEFAULT_PLATFORMS
    overrides: Mapping[str, str] = field(default_factory=dict)
    nodefaults: bool = False
    platforms_given: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> dict[str, Any]:
        """The object that is hashed: the order of channels counts, that of keys, dependencies and platforms does not.

        Platforms are in it only when the file or a setting names others than the built-in ones, options only when there
        are any, so that the hash is the same on every server that sets nothing.
        """
        canonical: dict[str, Any] = {
            "version": 1,
            "name": self.name,
            "description": self.description,
            "channels": list(self.channels),
            "nodefaults": self.nodefaults,
            "dependencies": sorted({fields.without_spaces(text) for text in self.dependencies}),
            "pip": sorted(set(self.pip)),
            "variables": dict(self.variables),
            "overrides": dict(self.overrides),
            "platforms": sorted(self.platforms) if self.platforms_given else [],
        }
        return {**canonical, "options": dict(self.options)} if self.options else canonical

    @cached_property
    def hash(self) -> str:
        """sha256 in hex of the canonical JSON."""
        return canonical_hash(self.canonical())

    def to_wire(self) -> dict[str, Any]:
        """conda-store's `spec` object; `from_wire` makes the same specification of it, but for the options."""
        dependencies: list[Any] = list(self.dependencies)
        if self.pip:
            dependencies.append({"pip": list(self.pip)})
        wire: dict[str, Any] = {
            "channels": [*self.channels, *(["nodefaults"] if self.nodefaults else [])],
            "dependencies": dependencies,
            "description": self.description,
            "name": self.name,
            "prefix": None,
            "variables": {**self.variables, **self.overrides},
        }
        if self.platforms_given:
            wire["platforms"] = list(self.platforms)
        return wire

    def virtual_packages(self, platform: str, defaults: Iterable[str]) -> tuple[str, ...]:
        """What the solver may assume on `platform`: the settings' `name=version=build` texts, with the overrides."""
        return apply_overrides(self.overrides, platform, defaults)

    @property
    def package_channels(self) -> tuple[str, ...]:
        """Channels that only a dependency names (`channel::package`), in order, each once."""
        named = (channel_of(text) for text in self.dependencies)
        return tuple(dict.fromkeys(channel for channel in named if channel and channel not in self.channels))


def parse(
    text: str | bytes,
    *,
    check_match_spec: fields.CheckMatchSpec,
    default_name: str | None = None,
    default_description: str = "",
    default_platforms: Sequence[str] = DEFAULT_PLATFORMS,
    local_channels: bool = False,
    may_be_empty: bool = False,
) -> Specification:
    """The specification that an environment.yml says.

    `check_match_spec` raises whatever it likes for a text that is no match spec; `default_name` and
    `default_description` stand in where the file has none; `local_channels` allows `file:///` channels;
    `may_be_empty` allows a file without conda packages, to which settings may add some (`policy.apply`).

    Raises:
        SpecificationError: the first fault found, with its line or field, what was found and what is allowed.
    """
    return _read(
        read_yaml(text),
        check_match_spec,
        default_name,
        default_description,
        default_platforms,
        local=local_channels,
        may_be_empty=may_be_empty,
    )


def from_wire(
    wire: Mapping[str, Any],
    *,
    check_match_spec: fields.CheckMatchSpec = lambda text: None,
    default_platforms: Sequence[str] = DEFAULT_PLATFORMS,
) -> Specification:
    """The specification of a `spec` object; what the database holds was checked when it came in.

    Raises:
        SpecificationError: as `parse`.
    """
    document = read_yaml(json.dumps(wire), slack=16)
    # A file:/// channel in a stored specification was allowed when it was stored.
    return _read(document, check_match_spec, None, "", default_platforms, local=True)


def _read(
    document: Entries,
    check_match_spec: fields.CheckMatchSpec,
    default_name: str | None,
    default_description: str,
    default_platforms: Sequence[str],
    *,
    local: bool,
    may_be_empty: bool = False,
) -> Specification:
    _refuse_unknown_keys(document)
    node = document.entries.get
    name = fields.parse_name(node("name"), default_name)
    channels, nodefaults = parse_channels(node("channels"), local=local)
    dependencies = fields.parse_dependencies(
        node("dependencies"), check_match_spec, local=local, may_be_empty=may_be_empty
    )
    variables, overrides = parse_variables(node("variables"))
    platforms = fields.parse_platforms(node("platforms"))
    return Specification(
        name=name,
        channels=channels,
        dependencies=dependencies.conda,
        pip=dependencies.pip,
        variables=variables,
        description=fields.parse_description(node("description"), default_description),
        platforms=platforms or tuple(default_platforms),
        overrides=overrides,
        nodefaults=nodefaults,
        platforms_given=bool(platforms),
    )


def _refuse_unknown_keys(document: Entries) -> None:
    for key, line in document.lines.items():
        if key in KEYS:
            continue
        near = difflib.get_close_matches(key[:40].lower(), KEYS, n=1, cutoff=0.6)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise fault(f"the key {show(key)} is not known; allowed are {', '.join(KEYS)}{hint}", line=line)

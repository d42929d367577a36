"""Settings, where they come from, and their history."""

from typing import Any, Literal

from pydantic import Field, create_model

from condarium.domain.settings.keys import KEYS, Kind
from services.api.replies.envelopes import Moment, Shown

_SHAPES: dict[Kind, Any] = {
    Kind.TEXT: str,
    Kind.COUNT: int,
    Kind.LIMIT: int | None,
    Kind.SECONDS: int | float,
    Kind.BOOLEAN: bool,
    Kind.MODE: str,
    Kind.URL: str,
    Kind.CHANNELS: list[str],
    Kind.PACKAGES: list[str],
    Kind.REQUIREMENTS: list[str],
    Kind.PLATFORMS: list[str],
    Kind.INDEXED_PLATFORMS: list[str],
    Kind.ARTIFACTS: list[str],
    Kind.NAME: str | None,
    Kind.USER: str | None,
    Kind.DIRECTORY: str | None,
    Kind.LABELS: dict[str, str],
    Kind.VIRTUAL_PACKAGES: dict[str, list[str]],
}
_FIELDS: dict[str, Any] = {
    name: (_SHAPES[key.kind], Field(description=f"{key.effect}; set at: {key.scope.value}"))
    for name, key in KEYS.items()
}

Settings = create_model("Settings", __base__=Shown, __doc__="Every key with the value that holds.", **_FIELDS)


class SettingsChanged(Shown):
    """`message` names the keys."""

    status: Literal["ok"]
    data: None
    message: str


class Origin(Shown):
    """One key. `level` is where its value comes from; `fixed` why it cannot be changed."""

    key: str
    value: Any
    level: Literal["built in", "deployment", "global", "namespace", "environment"]
    changed_on: Moment | None
    changed_by: str | None
    scope: str
    effect: str
    fixed: str | None


class Change(Shown):
    """One change; null is not set."""

    id: int
    key: str
    before: Any = Field(alias="from")
    after: Any = Field(alias="to")
    changed_on: Moment
    changed_by: str

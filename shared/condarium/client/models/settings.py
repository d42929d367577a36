"""Settings, usage, quotas, credentials and the audit log."""

from typing import Any, Literal

from pydantic import Field

from condarium.client.models.shown import Moment, Shown


class Origin(Shown):
    """One key. `level` is where its value comes from; `fixed` why it cannot be changed."""

    key: str
    value: Any
    level: str
    changed_on: Moment | None
    changed_by: str | None
    scope: str
    effect: str
    fixed: str | None


class Change(Shown):
    """One change of a setting; null is not set."""

    id: int
    key: str
    before: Any = Field(alias="from")
    after: Any = Field(alias="to")
    changed_on: Moment
    changed_by: str


class Quota(Shown):
    """Null is no limit. `bytes` are those of `exclusive` and `shared` together."""

    builds: int | None
    bytes: int | None
    concurrent_builds: int | None


class OwnUsage(Shown):
    """Bytes that no other namespace uses, and bytes that others use too; `left` is what may still be used."""

    exclusive: int
    shared: int
    saved_by_links: int
    measured_on: Moment | None
    concurrent_builds: int
    quota: Quota
    left: Quota


class Usage(Shown):
    """What a namespace uses; `storage` in bytes."""

    num_environments: int
    num_builds: int
    storage: int
    condarium: OwnUsage


class Credential(Shown):
    """Everything but what it holds. `namespace` is null for the deployment's; `readable` false: set it anew."""

    name: str
    namespace: str | None
    kind: str
    use: str
    url: str
    readable: bool
    created_on: Moment
    created_by: str
    updated_on: Moment
    updated_by: str


class BaseImage(Shown):
    """What images stand on: `name` is what the setting image_base calls it, `size` in bytes of its `layers`."""

    id: int
    platform: str
    name: str | None
    is_default: bool
    source: str | None
    digest: str | None
    layers: int
    size: int
    created_on: Moment
    created_by: str


class AuditRow(Shown):
    """One deed, or the sum of `count` alike between `time` and `last_time`."""

    id: int
    time: Moment
    last_time: Moment
    principal: str
    action: str
    namespace: str | None
    resource: str
    outcome: Literal["done", "denied", "failed"]
    count: int
    address: str | None
    details: dict[str, Any]

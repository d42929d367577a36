"""What namespaces use, and what they may."""

from services.api.replies.envelopes import Moment, Shown


class Quota(Shown):
    """Null is no limit. `bytes` are those of `exclusive` and `shared` together."""

    builds: int | None
    bytes: int | None
    concurrent_builds: int | None


class OwnUsage(Shown):
    """Bytes that no other namespace uses, and bytes that others use too; `measured_on` null: not measured yet.

    `concurrent_builds` are queued or running now. `left` is what of the quota may still be used.
    """

    exclusive: int
    shared: int
    saved_by_links: int
    measured_on: Moment | None
    concurrent_builds: int
    quota: Quota
    left: Quota


class Usage(Shown):
    """`storage` is in bytes."""

    num_environments: int
    num_builds: int
    storage: int
    condarium: OwnUsage

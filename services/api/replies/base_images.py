"""The shape of a base image."""

from services.api.replies.envelopes import Moment, Shown


class BaseImage(Shown):
    """`name` is what the setting image_base calls it; `source` and `digest` are null where it was not pulled; `size`
    in bytes of its `layers`.
    """

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

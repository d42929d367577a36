"""What settings say about images, besides what is in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: the settings that are kept with a build for its image, and decide the image's bytes
KEYS = ("image_base", "image_user", "image_workdir", "image_labels")
#: labels that an image has of its own
OUR_LABELS = "condarium."


@dataclass(frozen=True)
class ImageOptions:
    """`user` as `USER` of a Dockerfile and `workdir` as `WORKDIR`; empty is the base image's. `base` names a stored
    base image; empty is the default one of each platform.
    """

    user: str = ""
    workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    base: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "ImageOptions":
        """Out of the settings that are kept with a build."""
        return cls(
            user=settings.get("image_user") or "",
            workdir=settings.get("image_workdir") or "",
            labels=dict(sorted((settings.get("image_labels") or {}).items())),
            base=settings.get("image_base") or "",
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides an image's bytes; the base decides them by its own identity."""
        return {"user": self.user, "workdir": self.workdir, "labels": dict(self.labels)}

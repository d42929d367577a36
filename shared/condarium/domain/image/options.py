"""What settings say about images, besides what is in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: the settings that are kept with a build for its image, and decide the image's bytes
KEYS = ("image_base", "image_user", "image_workdir", "image_labels", "image_pyc")
#: labels that an image has of its own
OUR_LABELS = "condarium."


@dataclass(frozen=True)
class ImageOptions:
    """`user` as `USER` of a Dockerfile and `workdir` as `WORKDIR`; empty is the base image's. `base` names a stored
    base image; empty is the default one of each platform. `pyc`: whether there are .pyc files; layers go by them.
    `command` is what runs where nothing is named; what is pulled by its packages may ask for a shell.
    """

    user: str = ""
    workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    pyc: bool = True
    command: tuple[str, ...] = ("/bin/sh",)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "ImageOptions":
        """Out of the settings that are kept with a build."""
        return cls(
            user=settings.get("image_user") or "",
            workdir=settings.get("image_workdir") or "",
            labels=dict(sorted((settings.get("image_labels") or {}).items())),
            base=settings.get("image_base") or "",
            pyc=settings.get("image_pyc") is not False,
            command=tuple(settings.get("image_command") or cls.command),
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides an image's bytes; the base decides them by its own identity."""
        return {
            "user": self.user,
            "workdir": self.workdir,
            "labels": dict(self.labels),
            "command": list(self.command),
        }

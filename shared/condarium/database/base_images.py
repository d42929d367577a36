"""What images stand on: stored once per platform, changed only by an administrator."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import BaseImage as BaseImageRow
from condarium.domain.image import BaseImage, ImageLayer


def default(session: Session, platform: str) -> BaseImage | None:
    """What images of that platform stand on."""
    row = session.execute(
        select(BaseImageRow).where(BaseImageRow.platform == platform, BaseImageRow.is_default)
    ).scalar_one_or_none()
    return _from_row(row) if row else None


def set_default(session: Session, base: BaseImage, *, platform: str, actor: str) -> None:
    """Records a base image whose blobs are stored, and lets new images of that platform stand on it."""
    # Several packagers start at the same time.
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    session.execute(
        insert(BaseImageRow)
        .values(
            digest=base.identity,
            platform=platform,
            layers=[asdict(layer) for layer in base.layers],
            config=_config(base),
            created_by=actor,
        )
        .on_conflict_do_nothing(index_elements=["digest", "platform"])
    )
    of_platform = update(BaseImageRow).where(BaseImageRow.platform == platform)
    others = of_platform.where(BaseImageRow.is_default, BaseImageRow.digest != base.identity)
    session.execute(others.values(is_default=False))
    session.execute(of_platform.where(BaseImageRow.digest == base.identity).values(is_default=True))


_LOCK = 0x62617365


def _config(base: BaseImage) -> dict[str, Any]:
    return {
        "architecture": base.architecture,
        "env": dict(base.env),
        "entrypoint": list(base.entrypoint),
        "user": base.user,
    }


def _from_row(row: BaseImageRow) -> BaseImage:
    config = row.config
    return BaseImage(
        architecture=config["architecture"],
        layers=tuple(ImageLayer(**layer) for layer in row.layers),
        env=config["env"],
        entrypoint=tuple(config["entrypoint"]),
        user=config["user"],
    )

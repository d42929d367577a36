"""What images stand on: stored once per platform, changed only by an administrator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import BaseImage


@dataclass(frozen=True)
class Base:
    """`layers` are {digest, diff_id, size, media_type}, digests in hex; `config` what images take over: Env, User..."""

    digest: str
    platform: str
    layers: tuple[Mapping[str, Any], ...]
    config: Mapping[str, Any]


def default(session: Session, platform: str) -> Base | None:
    """What images of that platform stand on."""
    row = session.execute(
        select(BaseImage).where(BaseImage.platform == platform, BaseImage.is_default)
    ).scalar_one_or_none()
    return Base(row.digest, row.platform, tuple(row.layers), row.config) if row else None


def store(
    session: Session,
    *,
    digest: str,
    platform: str,
    layers: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    actor: str,
    replace: bool = False,
) -> Base:
    """Records a base image whose blobs are stored; it becomes the default where there is none, or with `replace`."""
    # Several packagers start at the same time.
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    session.execute(
        insert(BaseImage)
        .values(
            digest=digest,
            platform=platform,
            layers=[dict(layer) for layer in layers],
            config=dict(config),
            created_by=actor,
        )
        .on_conflict_do_nothing(index_elements=["digest", "platform"])
    )
    current = default(session, platform)
    if current is None or (replace and current.digest != digest):
        of_platform = update(BaseImage).where(BaseImage.platform == platform)
        session.execute(of_platform.where(BaseImage.is_default).values(is_default=False))
        session.execute(of_platform.where(BaseImage.digest == digest).values(is_default=True))
    found = default(session, platform)
    assert found is not None
    return found


_LOCK = 0x62617365

"""What images stand on: stored once per platform, changed only by an administrator."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.garbage import marks
from condarium.database.garbage.references import CONTENT_PREFIX
from condarium.database.tables import BaseImage as BaseImageRow
from condarium.domain.image import BaseImage, ImageLayer
from condarium.errors import NotFound


def default(session: Session, platform: str) -> BaseImage | None:
    """What images of that platform stand on."""
    row = session.execute(
        select(BaseImageRow).where(BaseImageRow.platform == platform, BaseImageRow.is_default)
    ).scalar_one_or_none()
    return _from_row(row) if row else None


def named(session: Session, platform: str, name: str) -> BaseImage | None:
    row = session.execute(
        select(BaseImageRow).where(BaseImageRow.platform == platform, BaseImageRow.name == name)
    ).scalar_one_or_none()
    return _from_row(row) if row else None


@dataclass(frozen=True)
class Stored:
    """A base image as it is listed; `name` is what the setting image_base calls it."""

    id: int
    image: BaseImage
    platform: str
    name: str | None
    is_default: bool
    created_by: str
    created_on: datetime


def every(session: Session) -> list[Stored]:
    """All that are stored, by platform, the default ones first."""
    rows = session.execute(
        select(BaseImageRow).order_by(BaseImageRow.platform, BaseImageRow.is_default.desc(), BaseImageRow.id)
    ).scalars()
    return [_stored(row) for row in rows]


def store(
    session: Session,
    base: BaseImage,
    *,
    platform: str,
    actor: str,
    name: str | None = None,
    make_default: bool = False,
    chosen: bool = False,
) -> Stored:
    """Records a base image whose blobs are stored. Whatever had the name before loses it; images that stand on it
    stay as they are.

    What an administrator has `chosen` as the default one stays so until one chooses again.

    Raises marks.Deleting; see `marks.hold` for what the caller looks at then.
    """
    marks.hold(session, {f"{CONTENT_PREFIX}{layer.digest}" for layer in base.layers})
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
    this, others = BaseImageRow.digest == base.identity, BaseImageRow.digest != base.identity
    if name is not None:
        session.execute(of_platform.where(BaseImageRow.name == name, others).values(name=None))
        session.execute(of_platform.where(this).values(name=name))
    of_others = select(BaseImageRow.id).where(BaseImageRow.platform == platform, BaseImageRow.is_default, others)
    kept = session.execute(of_others.where(BaseImageRow.is_chosen)).first()
    if make_default and (chosen or kept is None):
        session.execute(of_platform.where(BaseImageRow.is_default, others).values(is_default=False, is_chosen=False))
        session.execute(of_platform.where(this).values(is_default=True))
        if chosen:
            session.execute(of_platform.where(this).values(is_chosen=True))
    row = session.execute(
        select(BaseImageRow).where(BaseImageRow.platform == platform, this).execution_options(populate_existing=True)
    ).scalar_one()
    return _stored(row)


def set_default(session: Session, base: BaseImage, *, platform: str, actor: str) -> None:
    """Records a base image whose blobs are stored, and lets new images of that platform stand on it."""
    store(session, base, platform=platform, actor=actor, make_default=True)


def choose_default(session: Session, base_id: int) -> Stored:
    """Lets new images of its platform stand on a stored base. Raises NotFound."""
    row = session.get(BaseImageRow, base_id) if 0 < base_id < 2**63 else None
    if row is None:
        raise NotFound("base image does not exist")
    return store(session, _from_row(row), platform=row.platform, actor=row.created_by, make_default=True, chosen=True)


_LOCK = 0x62617365


def _config(base: BaseImage) -> dict[str, Any]:
    return {
        "architecture": base.architecture,
        "env": dict(base.env),
        "entrypoint": list(base.entrypoint),
        "user": base.user,
        "working_dir": base.working_dir,
        "digest": base.digest,
        "source": base.source,
    }


def _from_row(row: BaseImageRow) -> BaseImage:
    config = row.config
    return BaseImage(
        architecture=config["architecture"],
        layers=tuple(ImageLayer(**layer) for layer in row.layers),
        env=config["env"],
        entrypoint=tuple(config["entrypoint"]),
        user=config["user"],
        working_dir=config.get("working_dir", ""),
        digest=config.get("digest", ""),
        source=config.get("source", ""),
    )


def _stored(row: BaseImageRow) -> Stored:
    image = _from_row(row)
    return Stored(row.id, image, row.platform, row.name, row.is_default, row.created_by, row.created_on)

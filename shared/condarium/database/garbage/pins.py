"""Pins: builds that somebody wants kept."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Pin


def put(session: Session, build_id: int, *, reason: str, expires_on: datetime | None, actor: str) -> None:
    """Pins a build, or changes why and for how long."""
    values = {"reason": reason, "expires_on": expires_on, "created_by": actor, "created_on": func.clock_timestamp()}
    session.execute(
        insert(Pin).values(build_id=build_id, **values).on_conflict_do_update(index_elements=["build_id"], set_=values)
    )


def remove(session: Session, build_id: int) -> bool:
    """Whether there was one."""
    return session.execute(delete(Pin).where(Pin.build_id == build_id).returning(Pin.build_id)).first() is not None


def find(session: Session, build_id: int) -> Pin | None:
    return session.execute(select(Pin).where(Pin.build_id == build_id)).scalar_one_or_none()

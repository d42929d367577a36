"""How often somebody has tried to log in: counted in the database, so that it holds for all copies of the gateway."""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from datetime import timedelta

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from condarium.database import Database
from condarium.database.tables import LoginAttempt


def subject(kind: str, value: str, secret: str) -> str:
    """What stands for a user name or an address in the table; it does not tell which."""
    return hmac.new(
        secret.encode(), f"login-attempt/{kind}/{value}".encode(errors="replace"), hashlib.sha256
    ).hexdigest()


def begin(database: Database, limits: Mapping[str, int], *, window_seconds: float) -> tuple[list[int], float]:
    """Notes an attempt for each subject, and looks whether one has had more than its limit within the window.

    Returns the ids of the attempt and the seconds to wait, 0 when it may go on. It is noted and committed before it
    is counted: however many come at once and through however many gateways, no more than the limit go on.
    """
    window = timedelta(seconds=window_seconds)
    with database.transaction() as session:
        session.execute(delete(LoginAttempt).where(LoginAttempt.at < func.clock_timestamp() - window))
        rows = [{"subject": each, "at": func.clock_timestamp()} for each in limits]
        ids = list(session.execute(insert(LoginAttempt).values(rows).returning(LoginAttempt.id)).scalars())
    with database.transaction() as session:
        waits = [_wait(session, each, limit, window) for each, limit in limits.items()]
    return ids, max(waits, default=0.0)


def _wait(session: Session, subject: str, limit: int, window: timedelta) -> float:
    """Seconds until the subject has fewer than `limit` attempts in the window; 0 while it has no more than that."""
    now = func.clock_timestamp()
    # The attempt at this place from the newest on has to leave the window first.
    query = (
        select(func.extract("epoch", LoginAttempt.at + window - now))
        .where(LoginAttempt.subject == subject, LoginAttempt.at > now - window)
        .order_by(LoginAttempt.at.desc())
        .offset(limit)
        .limit(1)
    )
    found = session.execute(query).scalar_one_or_none()
    return 0.0 if found is None else max(1.0, float(found))


def uncount(session: Session, ids: Collection[int]) -> None:
    """One that succeeded does not count; nor one that was told to wait, so that the wait that was told stays true.

    Earlier failures stay: whoever has one good login must not buy another round of guesses with it.
    """
    session.execute(delete(LoginAttempt).where(LoginAttempt.id.in_(ids)))

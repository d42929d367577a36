"""Rows that only history needs: events, what was handled, attempts to log in, tokens that are over, sweeps."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.database import solves
from condarium.database.garbage.expiry import Found
from condarium.domain.retention import Retention

#: of the rows that one statement deletes: none of them holds up others for long
_BATCH = 10_000
#: an inbox must remember for longer than a broker keeps a message; `environment.ready` is said once for all time
_INBOX_SECONDS = 14 * 86400.0
_SWEEPS_SECONDS = 30 * 86400.0
_TOKENS_SECONDS = 30 * 86400.0
_LOGINS_SECONDS = 86400.0

_DELETE = {
    "events": "select id from outbox where published_on < clock_timestamp() - make_interval(secs => :seconds)",
    "login attempts": "select id from login_attempts where at < clock_timestamp() - make_interval(secs => :seconds)",
    "tokens": "select id from tokens where expires_on < clock_timestamp() - make_interval(secs => :seconds)",
    "sweeps": "select id from sweeps where created_on < clock_timestamp() - make_interval(secs => :seconds)",
}
_TABLES = {"events": "outbox", "login attempts": "login_attempts", "tokens": "tokens", "sweeps": "sweeps"}


def tidy(session: Session, retention: Retention) -> list[Found]:
    """Deletes what is old; what is left of very much is deleted the next time."""
    seconds = {
        "events": retention.events,
        "login attempts": _LOGINS_SECONDS,
        "tokens": _TOKENS_SECONDS,
        "sweeps": _SWEEPS_SECONDS,
    }
    found = [
        Found(kind, _delete(session, _TABLES[kind], f"{query} order by id limit {_BATCH}", seconds[kind]))
        for kind, query in _DELETE.items()
    ]
    handled = (
        "delete from inbox where ctid = any(array(select ctid from inbox where consumer <> 'environment.ready' "
        f"and handled_on < clock_timestamp() - make_interval(secs => :seconds) limit {_BATCH}))"
    )
    inbox = session.execute(text(handled), {"seconds": max(_INBOX_SECONDS, retention.events)})
    found.append(Found("handled events", inbox.rowcount))  # type: ignore[attr-defined]
    found.append(Found("solves", solves.forget(session)))
    return found


def _delete(session: Session, table: str, chosen: str, seconds: float) -> int:
    done = session.execute(text(f"delete from {table} where id in ({chosen})"), {"seconds": seconds})
    return int(done.rowcount)  # type: ignore[attr-defined]

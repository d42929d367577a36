"""The audit log: single deeds, written in the transaction that does them, and sums of what happens often."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Audit, Namespace
from condarium.domain.canonical import canonical_json
from condarium.domain.redaction import redact

Outcome = Literal["done", "denied", "failed"]

#: of the transaction lock under which old rows are deleted, by one process at a time
RETENTION_LOCK = 0x61756469
#: the longest text that a stranger can have written into a row
LONGEST = 300


def record(
    session: Session,
    *,
    principal: str,
    action: str,
    resource: str,
    namespace: str | None = None,
    outcome: Outcome = "done",
    details: Mapping[str, Any] | None = None,
    address: str | None = None,
) -> None:
    """Writes one deed, in the transaction that does it.

    `resource` is `namespace/environment` with `*` for all of them; its first part is the namespace whose
    administrators may read of it, unless `namespace` says otherwise. Credentials of URLs in `details` are hidden; other
    secrets must not be in them.
    """
    session.add(
        Audit(
            principal=_short(principal),
            action=action,
            namespace=_short(namespace_of(resource) if namespace is None else namespace),
            resource=_short(resource),
            outcome=outcome,
            address=address,
            details=_clean(dict(details or {})),
        )
    )
    session.flush()


def namespace_of(resource: str) -> str:
    """`team` of `team/*`; empty for what is about the installation."""
    namespace, slash, _ = resource.partition("/")
    return namespace if slash and namespace != "*" else ""


@dataclass(frozen=True)
class Sum:
    """What is counted together; `period` is the day or the minute that the sum is of."""

    period: str
    principal: str
    action: str
    resource: str
    namespace: str = ""
    outcome: Outcome = "done"
    address: str | None = None
    details: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> str:
        parts = [self.period, self.principal, self.action, self.resource, self.namespace, self.outcome, self.address]
        return hashlib.sha256(canonical_json([*parts, dict(self.details)])).hexdigest()[:32]


def add_sums(session: Session, sums: Iterable[tuple[Sum, int, datetime]]) -> None:
    """Adds counts: (what, how often, when last)."""
    rows = sorted(
        (
            {
                "sum_key": each.key,
                "principal": _short(each.principal),
                "action": each.action,
                # a refusal names what was asked for, and an index holds no row of any length
                "namespace": _short(each.namespace),
                "resource": _short(each.resource),
                "outcome": each.outcome,
                "address": each.address,
                "details": _clean(dict(each.details)),
                "count": count,
                "happened_on": last,
                "last_on": last,
            }
            for each, count, last in sums
        ),
        # two processes that add the same rows lock them in the same order
        key=lambda row: str(row["sum_key"]),
    )
    for row in rows:
        added = insert(Audit).values(row)
        session.execute(
            added.on_conflict_do_update(
                index_elements=["sum_key"],
                set_={
                    "count": Audit.count + added.excluded.count,
                    "last_on": func.greatest(Audit.last_on, added.excluded.last_on),
                },
            )
        )


@dataclass(frozen=True)
class AuditFilter:
    """Empty is no filter. `namespaces` are those that the caller may read of, None is all and the installation."""

    namespaces: frozenset[str] | None = None
    namespace: str = ""
    principal: str = ""
    action: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.namespaces is not None:
            found.append(Audit.namespace.in_(self.namespaces))
        for column, wanted in (
            (Audit.namespace, self.namespace),
            (Audit.principal, self.principal),
            (Audit.action, self.action),
            (Audit.outcome, self.outcome),
        ):
            if wanted:
                found.append(column == wanted)
        if self.since is not None:
            found.append(Audit.last_on >= self.since)
        if self.until is not None:
            found.append(Audit.happened_on < self.until)
        return found


def page(session: Session, wanted: AuditFilter, *, before: int | None, limit: int) -> Sequence[Audit]:
    """The newest rows that fit, below id `before`."""
    query = select(Audit).where(*wanted.conditions()).order_by(Audit.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Audit.id < before)
    return session.execute(query).scalars().all()


def namespaces(session: Session) -> list[str]:
    """The names of all that there are and were."""
    return list(session.execute(select(Namespace.name).distinct()).scalars())


def forget(session: Session, *, days: float, limit: int = 5000) -> int:
    """Deletes rows older than that, at most `limit`; returns how many. Nothing while another process does it."""
    if not session.execute(select(func.pg_try_advisory_xact_lock(RETENTION_LOCK))).scalar_one():
        return 0
    session.execute(text("set local condarium.audit_retention = 'on'"))
    old = (
        select(Audit.id)
        .where(Audit.last_on < func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, days * 86_400))
        .order_by(Audit.last_on)
        .limit(limit)
    )
    gone = session.execute(delete(Audit).where(Audit.id.in_(old)).execution_options(synchronize_session=False))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}..."


def _clean(value: Any) -> Any:
    match value:
        case str():
            return _short(redact(value, ()).replace("\0", "\ufffd"))
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _short(str(value))

"""Which events a stream is about: the same question asked of rows and of events that come in live."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_
from sqlalchemy.orm import Session

from condarium.database import listing, outbox
from condarium.database.outbox import Stored
from condarium.database.tables import Outbox
from condarium.domain.access import ALL_VISIBLE, Visible


@dataclass(frozen=True)
class EventFilter:
    """Empty is no filter. `visible` is what the caller may see."""

    visible: Visible = ALL_VISIBLE
    namespace: str = ""
    environment: str = ""
    build: int | None = None
    routing_keys: frozenset[str] = frozenset()

    def fits(self, event: Stored) -> bool:
        return (
            self.visible.shows(event.namespace, event.environment)
            and self.namespace in ("", event.namespace)
            and self.environment in ("", event.environment)
            and self.build in (None, event.build_id)
            and (not self.routing_keys or event.routing_key in self.routing_keys)
        )

    def condition(self) -> ColumnElement[bool]:
        conditions = [listing.visible(self.visible, namespace=Outbox.namespace, environment=Outbox.environment)]
        if self.namespace:
            conditions.append(Outbox.namespace == self.namespace)
        if self.environment:
            conditions.append(Outbox.environment == self.environment)
        if self.build is not None:
            conditions.append(Outbox.build_id == self.build)
        if self.routing_keys:
            conditions.append(Outbox.routing_key.in_(self.routing_keys))
        return and_(*conditions)


def after(session: Session, seq: int, wanted: EventFilter, *, limit: int) -> list[Stored]:
    """Events behind position `seq`, in order."""
    return outbox.after(session, seq, where=wanted.condition(), limit=limit)

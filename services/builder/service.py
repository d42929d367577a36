"""The edge: events come in, a slot is woken or a symlink rendered."""

from collections.abc import Callable

from condarium.database import Database
from condarium.messaging.consumer import event_handler
from condarium.messaging.received import Received
from services.builder import symlink
from services.builder.relinking import Restoring
from services.builder.slots import Slots
from services.builder.store import Store


def make_service(database: Database, store: Store, slots: Slots, restoring: Restoring) -> type:
    """The nameko service of this process."""

    class Builder:
        name = "builder"

        @event_handler("build.queued.v1")
        def wake(self, received: Received) -> None:
            slots.wake()

        @event_handler("build.canceled.v1")
        def cancel(self, received: Received) -> None:
            slots.cancel_soon(received.envelope["data"]["build"])

        @event_handler("environment.updated.v1")
        def update_symlink(self, received: Received) -> None:
            restoring.wake()
            symlink.render(database, store.directory, received.event.namespace, received.event.environment)

        @event_handler("environment.deleted.v1")
        def remove_symlink(self, received: Received) -> None:
            symlink.render(database, store.directory, received.event.namespace, received.event.environment)

    return Builder


def every(seconds: float, work: Callable[[], None], stopped: Callable[[float], bool]) -> None:
    """Calls `work` now and every `seconds`, until `stopped(seconds)` says so."""
    while True:
        work()
        if stopped(seconds):
            return

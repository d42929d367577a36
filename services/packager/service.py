"""The edge: events come in, the slots are woken. What is to be made stands in rows."""

from condarium.messaging.consumer import event_handler
from condarium.messaging.received import Received
from services.packager.slots import Slots


def make_service(slots: Slots) -> type:
    """The nameko service of this process."""

    class Packager:
        name = "packager"

        @event_handler("build.solved.v1")
        def render(self, received: Received) -> None:
            slots.wake()

        @event_handler("artifact.requested.v1")
        def render_on_demand(self, received: Received) -> None:
            slots.wake()

        @event_handler("build.completed.v1")
        def join_log(self, received: Received) -> None:
            slots.wake()

        @event_handler("build.failed.v1")
        def join_log_of_failure(self, received: Received) -> None:
            slots.wake()

        @event_handler("build.canceled.v1")
        def end_requests(self, received: Received) -> None:
            slots.wake()

    return Packager

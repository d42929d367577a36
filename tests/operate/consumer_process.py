# ruff: noqa: E402
"""A nameko process for the tests of the consumer: it writes what it handles to the file in argv[2]."""

from condarium.messaging import bootstrap

bootstrap.patch()

import sys
import time
from pathlib import Path

from condarium import log
from condarium.errors import Unavailable
from condarium.messaging import broker
from condarium.messaging.consumer import event_handler
from condarium.messaging.health import Health
from condarium.messaging.received import Received
from condarium.messaging.service import run_service

AMQP_URL, RECORD = sys.argv[1], Path(sys.argv[2])
broker.ANSWER_SECONDS = float(sys.argv[3])
ACT = RECORD.with_suffix(".act")


def note(line: str) -> None:
    with RECORD.open("a") as file:
        file.write(line + "\n")


class Watchful:
    name = "tester"

    @event_handler("build.queued.v1")
    def queued(self, received: Received) -> None:
        _event_id, event, _envelope = received
        note(f"start {event.build}")
        if ACT.exists():
            act = ACT.read_text()
            if act == "unavailable":
                raise Unavailable("the database is away")
            if act == "fail":
                raise RuntimeError("poison")
            if act.startswith("sleep "):
                time.sleep(float(act.removeprefix("sleep ")))
        note(f"done {event.build}")

    @event_handler("build.completed.v1")
    def completed(self, received: Received) -> None:
        note(f"completed {received.event.build} {received.envelope['subject']}")


log.configure("tester")
health = Health(bind="127.0.0.1", port=0, checks={})
sys.exit(
    run_service(
        Watchful,
        amqp_url=AMQP_URL,
        health=health,
        on_start=lambda: note(f"health {health.port}"),
        on_stop=lambda: note("stopped"),
    )
)

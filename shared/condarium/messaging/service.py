"""Runs a nameko service from its `__main__` until SIGTERM or SIGINT, then drains."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import eventlet
from nameko import config
from nameko.containers import ServiceContainer

from condarium import log
from condarium.errors import ConfigError
from condarium.messaging import bootstrap, broker
from condarium.messaging.health import Health

logger = log.get(__name__)


def run_service(
    service_cls: type,
    *,
    amqp_url: str,
    health: Health | None = None,
    on_start: Callable[[], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    workers: int = 10,
) -> int:
    """Runs `service_cls` (nameko's form: a `name`, methods under `event_handler`); returns the process' exit code.

    Order: health server, `on_start`, the broker is waited for, events. Work that is found by polling goes on while the
    broker is away. On a signal: no more events, running handlers end and are acknowledged, `on_stop`, health server;
    then 0. On a fault of nameko's: 1. When health cannot be served: 2. A second signal ends the process at once.
    """
    bootstrap.check()
    logging.getLogger("nameko").setLevel(logging.CRITICAL)  # faults of handlers are logged by `delivery`, once
    config.setup({"AMQP_URI": amqp_url, "max_workers": workers})
    stopping = threading.Event()
    _on_signal(stopping)
    if health is not None:
        try:
            health.start()
        except ConfigError as error:
            sys.stderr.write(f"{error}\n")
            return 2
    try:
        if on_start is not None:
            on_start()
        if broker.wait_until_up(amqp_url, stopped=stopping.is_set):
            return _run(ServiceContainer(service_cls), stopping)
        return 0
    finally:
        if on_stop is not None:
            on_stop()
        if health is not None:
            health.stop()
        logger.info("stopped")


def _run(container: ServiceContainer, stopping: threading.Event) -> int:
    container.start()
    logger.info("running")
    died = eventlet.spawn(_wait, container, stopping)
    stopping.wait()
    if died.dead:
        logger.error("a greenthread of the service failed", exc_info=died.wait())
        return 1
    logger.info("stopping")
    container.stop()
    return 0


def _wait(container: ServiceContainer, stopping: threading.Event) -> BaseException | None:
    """Ends with the container; one that was not asked to stop has failed."""
    try:
        container.wait()
    except Exception as error:
        return error
    finally:
        stopping.set()
    return None


def _on_signal(stopping: threading.Event) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        # Handlers run inside of eventlet's hub, where nothing may wait: the event is set by a greenthread.
        eventlet.spawn_n(stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)

"""Connections to RabbitMQ: how long they may take, and what an absent broker looks like to others."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed
from kombu import Connection
from kombu.exceptions import KombuError

from condarium import log
from condarium.errors import Unavailable

#: what a dead, absent or angry broker raises in kombu and amqp
BROKER_ERRORS: tuple[type[Exception], ...] = (AMQPError, KombuError, OSError)
CONNECT_SECONDS = 4.0
HEARTBEAT_SECONDS = 30

logger = log.get(__name__)


def connection(url: str, *, heartbeat: int = HEARTBEAT_SECONDS) -> Connection:
    """Not connected yet; `connect()` raises one of BROKER_ERRORS within `CONNECT_SECONDS`."""
    return Connection(url, connect_timeout=CONNECT_SECONDS, heartbeat=heartbeat)


def address(url: str) -> str:
    """`host:port/vhost`, for logs: never the account."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5672}{parts.path}"


def ping(url: str) -> None:
    """Raises Unavailable unless the broker accepts our account now."""
    try:
        with connection(url) as probe:
            probe.connect()
    except (AccessRefused, NotAllowed) as error:
        raise Unavailable(f"the broker at {address(url)} refuses the account of CONDARIUM_AMQP_URL") from error
    except BROKER_ERRORS as error:
        raise Unavailable(f"the broker at {address(url)} cannot be reached; try again in a moment") from error


def wait_until_up(url: str, *, seconds: float = 120, stopped: Callable[[], bool] = lambda: False) -> bool:
    """Waits until the broker answers; False when `stopped` says so first.

    Raises Unavailable when it does not answer within `seconds`.
    """
    until = time.monotonic() + seconds
    said = 0.0
    while not stopped():
        try:
            ping(url)
        except Unavailable as error:
            now = time.monotonic()
            if now > until:
                raise
            if now - said > 5:
                logger.warning("waiting for the broker", reason=str(error), seconds_left=round(until - now))
                said = now
            time.sleep(0.25)
        else:
            return True
    return False

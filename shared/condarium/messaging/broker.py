"""Connections to RabbitMQ: how long they may take, and what an absent broker looks like to others."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
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
#: A broker that has just started takes connections before its quorum queues have found their leaders, and a queue in
#: trouble leaves requests unanswered for ever. So: a pause after an outage; a bound on every answer, then a new try.
SETTLE_SECONDS = 1.0
ANSWER_SECONDS = 8.0

logger = log.get(__name__)


def connect(url: str) -> Connection:
    """A new connection after one try. Raises one of BROKER_ERRORS, within about `CONNECT_SECONDS`."""
    opened = Connection(url, connect_timeout=CONNECT_SECONDS, heartbeat=HEARTBEAT_SECONDS)
    try:
        # kombu's connect() would try twice and sleep in between, where nobody can stop it
        opened.ensure_connection(max_retries=0, reraise_as_library_errors=False)
    except BaseException:
        drop(opened)
        raise
    return opened


@contextlib.contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection that is closed in order, or dropped on a fault: a broker in trouble does not answer goodbyes.

    Raises one of BROKER_ERRORS.
    """
    opened = connect(url)
    try:
        yield opened
    except BaseException:
        drop(opened)
        raise
    opened.release()


def drop(opened: Connection) -> None:
    """Closes the socket without a word to the broker."""
    with contextlib.suppress(*BROKER_ERRORS):
        opened.collect(socket_timeout=0.5)


def address(url: str) -> str:
    """`host:port/vhost`, for logs: never the account."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5672}{parts.path}"


def ping(url: str) -> None:
    """Raises Unavailable unless the broker accepts our account now."""
    try:
        with connected(url):
            pass
    except (AccessRefused, NotAllowed) as error:
        raise Unavailable(f"the broker at {address(url)} refuses the account of CONDARIUM_AMQP_URL") from error
    except BROKER_ERRORS as error:
        raise Unavailable(f"the broker at {address(url)} cannot be reached; try again in a moment") from error


def wait_until_up(url: str, *, seconds: float = math.inf, stopped: Callable[[], bool] = lambda: False) -> bool:
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
            if now - said > 10:
                logger.warning("waiting for the broker", reason=str(error))
                said = now
            time.sleep(0.25)
        else:
            if said:
                time.sleep(SETTLE_SECONDS)
            return True
    return False

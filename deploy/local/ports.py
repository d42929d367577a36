"""Free ports on loopback: found once, kept by whoever asks."""

import errno
import socket
from collections.abc import Collection

LOOPBACK = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up), so that no client socket can sit on a port that we keep.
PRIVATE_FIRST = 20000
PRIVATE_LAST = 32000


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """True when nothing listens on `port` at `address`, nor at ::1, where "localhost" may lead clients."""
    return _can_bind(socket.AF_INET, address, port) and _can_bind(socket.AF_INET6, "::1", port)


def _can_bind(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        probe = socket.socket(family, socket.SOCK_STREAM)
    except OSError:  # a machine without IPv6
        return family == socket.AF_INET6
    with probe:
        # A connection in TIME_WAIT does not make a port taken; a listener still does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL
    return True


def next_free(first: int, avoid: Collection[int] = (), address: str = LOOPBACK, last: int = 65535) -> int:
    """The first free port from `first` on that is not in `avoid`.

    Raises:
        RuntimeError: no port up to `last` is free.
    """
    for port in range(first, last + 1):
        if port not in avoid and is_free(port, address):
            return port
    raise RuntimeError(f"no free port from {first} to {last} on {address}")


def private_ports(count: int, avoid: Collection[int] = (), seed: str = "") -> list[int]:
    """`count` free ports for private servers; `seed` spreads the starts, so that two runs rarely try the same."""
    spread = sum(seed.encode()) * 97 % (PRIVATE_LAST - PRIVATE_FIRST - 1000)
    found: list[int] = []
    for _ in range(count):
        first = found[-1] + 1 if found else PRIVATE_FIRST + spread
        found.append(next_free(first, avoid, last=PRIVATE_LAST))
    return found

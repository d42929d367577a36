"""Reading channels by py-rattler, with what it kept of them on disk."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from rattler import Gateway
from rattler.networking import Client

T = TypeVar("T")

_UNCHANGED = "(304 Not Modified)"


async def reading(work: Callable[[Gateway], Awaitable[T]], cache: Path, client: Client) -> T:
    """What `work` returns with a gateway of its own: a longer-lived one would not see that a channel changed.

    Servers may leave the Last-Modified out of a 304, as `python -m http.server` does; py-rattler then takes "it has
    not changed" for an error. What such a channel has is read anew, into a directory that goes at the end.
    """
    try:
        return await work(Gateway(cache_dir=cache, client=client))
    except Exception as error:
        if _UNCHANGED not in str(error):
            raise
    with tempfile.TemporaryDirectory(dir=cache) as anew:
        return await work(Gateway(cache_dir=Path(anew), client=client))

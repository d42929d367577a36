"""When a request is tried again: reads, and what was never sent; a bounded number of times, with growing pauses."""

from email.utils import parsedate_to_datetime
from time import time

import httpx

#: of one request, the first included
TRIES = 4
#: a server that asks for more is away
LONGEST_PAUSE_SECONDS = 15.0
#: answers of a server, or of a proxy before it, that may be better in a moment
PASSING = (429, 502, 503, 504)
#: nothing of the request had left when these come
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def pause(attempt: int) -> float:
    """Seconds before the next try; `attempt` counts from 1."""
    return min(0.2 * 2.0 ** (attempt - 1), 2.0)


def after_error(error: httpx.HTTPError, attempt: int, tries: int, *, repeatable: bool) -> float | None:
    """Seconds until the next try, or None when the error is final."""
    again = repeatable or isinstance(error, UNSENT)
    return pause(attempt) if again and attempt < tries and not isinstance(error, httpx.UnsupportedProtocol) else None


def after_reply(reply: httpx.Response, attempt: int, tries: int, *, repeatable: bool) -> float | None:
    """Seconds until the next try, or None when the reply is what there is to be had.

    A 429 says that nothing was done: it may be tried again whatever was asked for.
    """
    if reply.status_code not in PASSING or attempt >= tries or not (repeatable or reply.status_code == 429):
        return None
    wanted = retry_after(reply)
    if wanted is None:
        return pause(attempt)
    return wanted if wanted <= LONGEST_PAUSE_SECONDS else None


def retry_after(reply: httpx.Response) -> float | None:
    """`Retry-After` in seconds, which may also be a date; None when there is none that can be read."""
    said = reply.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal() and len(said) < 10:
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time())
    except (TypeError, ValueError):
        return None

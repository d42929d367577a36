"""How much one principal, or one address without one, may ask for: token buckets in this process."""

import ipaddress
import time
from collections import OrderedDict
from dataclasses import dataclass

from condarium.errors import TooManyRequests

#: kinds of requests, each with limits of its own
MANIFESTS, BLOBS, LISTS = "manifests", "blobs", "lists"

#: buckets that are kept; the ones that were used longest ago go first
_MOST = 20_000


@dataclass(frozen=True)
class Limits:
    """Requests per minute; 0 is no limit. What was not used in the last minute may be used at once."""

    anonymous: int = 0
    authenticated: int = 0


class Rates:
    """Asked before anything is looked up."""

    def __init__(self, limits: dict[str, Limits]) -> None:
        self._limits = limits
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, kind: str, principal: str | None, address: str | None, *, now: float | None = None) -> None:
        """Counts a request; `principal` is None for whoever has not logged in.

        Raises TooManyRequests, with the seconds until the next one may come.
        """
        limits = self._limits.get(kind, Limits())
        limit = limits.anonymous if principal is None else limits.authenticated
        if not limit:
            return
        key = (kind, f"principal {principal}" if principal is not None else f"address {network_of(address or '')}")
        moment = time.monotonic() if now is None else now
        left, since = self._buckets.pop(key, (float(limit), moment))
        left = min(float(limit), left + (moment - since) * limit / 60)
        granted = left >= 1
        self._buckets[key] = (left - 1 if granted else left, moment)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        if not granted:
            wait = max(1.0, (1 - left) * 60 / limit)
            hint = "; who logs in may have more" if principal is None else ""
            raise TooManyRequests(
                f"more than {limit} requests for {kind} in a minute; go on in {wait:.0f} s{hint}", retry_after=wait
            )


def network_of(address: str) -> str:
    """Whoever has an IPv6 address has a network of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)

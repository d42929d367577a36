"""py-rattler's HTTP client, and what its errors mean: a fault of the world, or an outcome of the input.

Proxies and the CA bundle come out of the process's environment (HTTPS_PROXY, SSL_CERT_FILE), as everywhere.
"""

import asyncio
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from rattler.networking import AddHeadersMiddleware, Client, MirrorMiddleware, RetryMiddleware

from condarium.conda.channels import ChannelSettings
from condarium.errors import InputFault, WorldFault

_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d{3})[^)]*\) for url \(([^)\s]*)\)")
_REFUSED = (401, 403, 407)
_ABSENT = (404, 410)
_LATER = (429, 503)


def build_client(
    settings: ChannelSettings,
    locations: Iterable[str],
    *,
    mirrors: Mapping[str, Sequence[str]] | None = None,
    retries: int = 3,
    timeout_seconds: int | None = None,
) -> Client:
    """A client that may read from `locations`, with their credentials and no others.

    `mirrors` maps a canonical URL to HTTP locations; one that fails (5xx, no connection) gives way to the next.
    """
    # Retrying has to come first: a retry is what makes the mirror middleware choose another mirror.
    middlewares: list[RetryMiddleware | MirrorMiddleware | AddHeadersMiddleware] = [RetryMiddleware(retries)]
    if mirrors:
        # With a slash at the end, or conda-forge would also stand in for conda-forge-testing.
        slashed = {f"{url}/": [f"{place}/" for place in places] for url, places in mirrors.items()}
        middlewares.append(MirrorMiddleware(slashed))
    table = _header_table(settings, locations)
    if table:

        def headers_for(host: str, path: str) -> dict[str, str] | None:
            return next((headers for h, p, headers in table if h == host and f"{path}/".startswith(p)), None)

        middlewares.append(AddHeadersMiddleware(headers_for))
    return Client(middlewares, user_agent="condarium", timeout=timeout_seconds)


def _header_table(settings: ChannelSettings, locations: Iterable[str]) -> list[tuple[str, str, dict[str, str]]]:
    """(host, path prefix, headers), longest path first. The middleware sees neither scheme nor port, so that
    a place that is named with and without TLS (or on two ports) gets no credential at all."""
    found: dict[tuple[str, str], set[str]] = {}
    headers: dict[tuple[str, str], dict[str, str]] = {}
    for location in locations:
        parts = urlsplit(location)
        key = (parts.hostname or "", parts.path.rstrip("/") + "/")
        found.setdefault(key, set()).add(f"{parts.scheme}://{parts.netloc}")
        if settings.headers(location):
            headers[key] = settings.headers(location)
    table = [(host, path, value) for (host, path), value in headers.items() if len(found[(host, path)]) == 1]
    return sorted(table, key=lambda row: -len(row[1]))


def status_of(text: str) -> tuple[int, str] | None:
    """The HTTP status and URL that an error of py-rattler tells of, or None."""
    match = _STATUS.search(text)
    return (int(match.group(1)), match.group(2)) if match else None


async def channel_fault(error: Exception, settings: ChannelSettings, channels: Sequence[str]) -> Exception:
    """The error to raise where reading repodata failed with `error`."""
    text = str(error).strip()
    channel = _channel_in(text, settings, channels)
    name = f"the channel {settings.short_name(channel)!r} ({channel})" if channel else "a channel"
    mirror = f" {settings.mirror_sentence([channel])}" if channel and settings.is_mirrored(channel) else ""
    status = status_of(text)
    if status and status[0] in _REFUSED:
        shown = settings.refusal(status[1])
        return InputFault(f"Access to {name} was refused: {text}.{mirror} {shown}", reason="no-such-channel")
    if "could not find subdir" in text or (status and status[0] in _ABSENT):
        return InputFault(f"Cannot find {name}: {text}.{mirror}", reason="no-such-channel")
    after = await retry_after(status, settings)
    if "error sending request" in text and not mirror:
        mirror = " If it is out of reach from here, CONDARIUM_CHANNEL_MIRRORS names another address of it."
    return WorldFault(f"Cannot read {name}: {text}.{mirror}", retry_after=after)


def _channel_in(text: str, settings: ChannelSettings, channels: Sequence[str]) -> str | None:
    for channel in channels:
        if any(f"{place}/" in text for place in (channel, *settings.locations(channel))):
            return channel
    return channels[0] if len(channels) == 1 else None


async def retry_after(status: tuple[int, str] | None, settings: ChannelSettings) -> float | None:
    """Seconds that the server behind a 429 or 503 asks for. py-rattler hides the header, so it is asked once more."""
    if status is None or status[0] not in _LATER or not status[1].startswith(("http://", "https://")):
        return None
    return await asyncio.to_thread(_ask_retry_after, status[1], settings.headers(status[1]))


def _ask_retry_after(url: str, headers: Mapping[str, str]) -> float | None:
    request = urllib.request.Request(url, headers={"User-Agent": "condarium", **headers}, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        value = error.headers.get("Retry-After", "")
        error.close()
        return float(value) if value.isdigit() else None
    except OSError:
        return None
    return None

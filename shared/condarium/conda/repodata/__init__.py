"""Repodata and channeldata of a channel: asked for conditionally, brought to disk whole, read as a stream."""

import bz2
import gzip
import hashlib
import os
import ssl
import tempfile
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

import zstandard

from condarium.conda.channels import ChannelSettings, directory_of, join
from condarium.conda.fetch import http_fault, open_place
from condarium.conda.json_stream import JsonStream
from condarium.domain.package_index import CHANNELDATA, LONGEST_NAME, IndexRecord, index_record
from condarium.domain.redaction import redact
from condarium.errors import InputFault, WorldFault

#: bytes as sent; a channel with ten times the records of conda-forge stays below
LARGEST = 4 << 30
LONGEST_SUMMARY = 1000
MOST_SUMMARIES = 500_000
_CHUNK = 1 << 20
_GONE = (404, 410)
_PACKAGES = ("packages", "packages.conda")


@dataclass(frozen=True)
class Brought:
    """A file that differs from what was seen: on disk under no name, so that a killed process leaves nothing."""

    spool: IO[bytes]
    #: without secrets
    shown: str
    #: as it was asked
    place: str = field(repr=False)
    #: to be shown to the next `bring`
    seen: Mapping[str, Any]


@dataclass(frozen=True)
class Unchanged:
    """What was seen still stands; `seen` may know it better."""

    seen: Mapping[str, Any]


class Absent:
    """The channel has no such part."""


def bring(
    channel: str,
    part: str,
    settings: ChannelSettings,
    seen: Mapping[str, Any],
    *,
    names: Sequence[str] = (),
    timeout_seconds: float = 60.0,
) -> Brought | Unchanged | Absent:
    """The part of the channel with the canonical URL `channel`, unless it is what was `seen` last.

    `names` are the files to look for, if not the usual ones. Locations are tried in order. Raises WorldFault and
    InputFault (access refused) when none answers.
    """
    fault: WorldFault | InputFault | None = None
    for place in _places(channel, part, settings, seen, names):
        try:
            found = _ask(
                place, settings, seen if seen.get("location") == _known_as(place, settings) else {}, timeout_seconds
            )
        except _Missing:
            continue
        except (WorldFault, InputFault) as error:
            fault = fault or error
            continue
        if isinstance(found, Brought) and found.seen["sha256"] == seen.get("sha256"):
            found.spool.close()
            return Unchanged(found.seen)
        return found
    if fault is not None:
        raise fault
    return Absent()


def _places(
    channel: str, part: str, settings: ChannelSettings, seen: Mapping[str, Any], asked: Sequence[str]
) -> list[str]:
    """Every address to try; in each location first the one that answered last, so that one request is enough."""
    found: list[str] = []
    for location in settings.locations(channel):
        if asked:
            names = [f"{part}/{name}" for name in asked]
        elif part == CHANNELDATA:
            names = [CHANNELDATA]
        elif directory_of(location) is not None:
            names = [f"{part}/repodata.json", f"{part}/repodata.json.zst"]
        else:
            names = [f"{part}/repodata.json.zst", f"{part}/repodata.json"]
        places = [join(location, name) for name in names]
        found += sorted(places, key=lambda place: _known_as(place, settings) != seen.get("location"))
    return found


def _known_as(place: str, settings: ChannelSettings) -> str:
    return redact(place, settings.secrets())


class _Missing(Exception):
    pass


def _ask(place: str, settings: ChannelSettings, seen: Mapping[str, Any], timeout: float) -> Brought | Unchanged:
    shown = _known_as(place, settings)
    headers = {}
    if seen.get("etag"):
        headers["If-None-Match"] = str(seen["etag"])
    if seen.get("last_modified"):
        headers["If-Modified-Since"] = str(seen["last_modified"])
    try:
        with open_place(place, settings, timeout, **headers) as source:
            validators = _validators(source)
            if directory_of(place) is not None and validators["etag"] == seen.get("etag"):
                return Unchanged(seen)
            spool, sha256 = _spool(source, shown)
        return Brought(spool, shown, place, {"location": shown, **validators, "sha256": sha256})
    except urllib.error.HTTPError as error:
        if error.code == 304:
            error.close()
            return Unchanged(seen)
        if error.code in _GONE:
            error.close()
            raise _Missing from None
        raise http_fault(error, shown, settings.refusal(place)) from None
    except (FileNotFoundError, NotADirectoryError):
        raise _Missing from None
    except (OSError, ssl.SSLError, ValueError) as error:
        raise WorldFault(f"{shown} cannot be read: {error}.") from None
    except Exception as error:  # http.client's own errors, such as IncompleteRead
        raise error if isinstance(error, WorldFault) else WorldFault(f"{shown} broke off: {error!r}.") from None


def _validators(source: Any) -> dict[str, Any]:
    headers = getattr(source, "headers", None)
    if headers is None:
        stat = os.fstat(source.fileno())
        return {"etag": f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}", "last_modified": None}
    return {"etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified")}


def _spool(source: Any, shown: str) -> tuple[IO[bytes], str]:
    """The bytes in a file of no name, and their sha256. Raises WorldFault when they are fewer than announced."""
    headers = getattr(source, "headers", None) or {}
    announced = headers.get("Content-Length")
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - whoever gets it closes it
    digest, count = hashlib.sha256(), 0
    try:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            spool.write(chunk)
            count += len(chunk)
            if count > LARGEST:
                raise WorldFault(f"{shown} has more than {LARGEST} bytes.")
        if announced is not None and announced.isdigit() and count != int(announced):
            raise WorldFault(f"{shown} broke off: {count} of {announced} bytes came.")
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return spool, digest.hexdigest()


@contextmanager
def unpacked(brought: Brought) -> Iterator[BinaryIO]:
    """What was brought, without its compression, whatever its name says."""
    head = brought.spool.read(4)
    brought.spool.seek(0)
    source: Any = brought.spool
    if head == b"\x28\xb5\x2f\xfd":
        source = zstandard.ZstdDecompressor(max_window_size=1 << 28).stream_reader(
            brought.spool, read_across_frames=True, closefd=False
        )
    elif head[:2] == b"\x1f\x8b":
        source = gzip.GzipFile(fileobj=brought.spool)
    elif head[:3] == b"BZh":
        source = bz2.BZ2File(brought.spool)
    try:
        yield cast(BinaryIO, source)
    except (zstandard.ZstdError, EOFError, OSError) as error:
        raise WorldFault(f"{brought.shown} cannot be unpacked: {error}.") from None


class Records:
    """The records of brought repodata, in one pass; `skipped` counts what is none."""

    def __init__(self, brought: Brought) -> None:
        self._brought = brought
        self.skipped = 0

    def __iter__(self) -> Iterator[IndexRecord]:
        """Raises WorldFault for what is cut off or no repodata; then what came before must not count either."""
        with unpacked(self._brought) as source:
            stream = JsonStream(source, self._brought.shown)
            for key, name, raw in stream.entries():
                if key in _PACKAGES:
                    record = index_record(name, raw) if isinstance(raw, dict) else None
                    if record is None:
                        self.skipped += 1
                    else:
                        yield record
        if not stream.keys.intersection(_PACKAGES):
            # A portal's or an error's own JSON must not empty the index.
            raise WorldFault(f"{self._brought.shown} cannot be used: it has no packages, not even an empty list.")


def summaries(brought: Brought) -> Iterator[tuple[str, str]]:
    """(name, summary) of channeldata. Raises WorldFault as `Records` does."""
    count = 0
    with unpacked(brought) as source:
        stream = JsonStream(source, brought.shown)
        for key, name, raw in stream.entries():
            summary = raw.get("summary") if key == "packages" and isinstance(raw, dict) else None
            if isinstance(summary, str) and (text := _clean(summary)) and _is_name(name):
                if (count := count + 1) > MOST_SUMMARIES:
                    raise WorldFault(f"{brought.shown} has more than {MOST_SUMMARIES} summaries.")
                yield name.lower(), text
    if "packages" not in stream.keys:
        raise WorldFault(f"{brought.shown} cannot be used: it has no packages, not even an empty list.")


def _is_name(name: str) -> bool:
    return name.isprintable() and 0 < len(name) <= LONGEST_NAME


def _clean(summary: str) -> str:
    """One line that a database can hold."""
    text = " ".join(summary.replace("\0", " ").split()).encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 3] + "..."

"""When a file is read: after it has changed and then been quiet for a moment."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from condarium import log, metrics
from condarium.errors import Unavailable
from condarium.messaging import blocking
from services.watcher import sources
from services.watcher.handlers import Outcome
from services.watcher.listener import Listener
from services.watcher.sources import Listing, Signature, Source

#: how long nothing is looked at when nothing moves; also how soon a directory that appears is found
TICK_SECONDS = 1.0
#: a file that never rests is read all the same after this many quiet times
MAX_QUIETS = 10
BACKOFF_CAP_SECONDS = 10.0

logger = log.get(__name__)


@dataclass
class _Pending:
    """A changed file that is not read yet: how it looks, since when, and when it first changed."""

    signature: Signature
    since: float
    first: float


@dataclass
class Watching:
    """The loop of the watcher. `take` handles the bytes of one file and may raise Unavailable."""

    roots: Mapping[str, tuple[Path, ...]]
    take: Callable[[Source, bytes], Outcome]
    listener: Listener
    quiet_seconds: float
    rescan_seconds: float
    _read: dict[Source, Signature] = field(default_factory=dict)
    _pending: dict[Source, _Pending] = field(default_factory=dict)
    _invalid: set[Source] = field(default_factory=set)
    #: to be read again at the next full walk, changed or not
    _waiting: set[Source] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, name="watching", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the file at hand is done, within a few seconds."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def run(self) -> None:
        """Until stopped; faults are logged and tried again with growing waits, nothing seen is forgotten."""
        wait = 0.0
        while not self._stopped.is_set():
            try:
                self._watch()
            except Unavailable as error:
                logger.warning("files wait", reason=str(error))
            except Exception:
                logger.exception("watching failed; it starts again")
            finally:
                blocking.call(self.listener.close)
            wait = min(BACKOFF_CAP_SECONDS, max(0.5, wait * 2))
            self._stopped.wait(wait)

    def _watch(self) -> None:
        listing = self._listen()
        walked = time.monotonic()
        while not self._stopped.is_set():
            self._compare(listing, time.monotonic())
            self._take_quiet(time.monotonic())
            hint = self._wait(min(TICK_SECONDS, self.quiet_seconds) if self._pending else TICK_SECONDS)
            moved = not blocking.call(sources.identities, listing.points, listing.missing)
            if moved or time.monotonic() - walked > self.rescan_seconds:
                listing = self._listen()  # anew, so that lost watches and new links are caught
            elif hint or self.listener.polling or self._pending:
                listing = self._walk()
            else:
                continue
            walked = time.monotonic()

    def _wait(self, seconds: float) -> bool:
        if self.listener.deaf:
            self._stopped.wait(seconds)
            return False
        return blocking.call(self.listener.wait, seconds, self._stopped)

    def _listen(self) -> Listing:
        """Listens where there is something to hear, then walks: what changed in between is seen by one of them."""
        for source in self._waiting:
            self._read.pop(source, None)
        self._waiting.clear()
        points = blocking.call(sources.walk, self.roots).points
        blocking.call(self.listener.open, [path for path, _, _ in points])
        return self._walk()

    def _walk(self) -> Listing:
        listing = blocking.call(sources.walk, self.roots)
        self._tell(listing)
        metrics.WATCHED_FILES.set(len(listing.files))
        return listing

    def _tell(self, listing: Listing) -> None:
        """Each trouble with a directory is said when it begins and when it ends."""
        now = {
            f"the watched directory {path} is not there; it is picked up when it appears" for path in listing.missing
        }
        now |= {f"the directory {path} cannot be read: {reason}" for path, reason in listing.closed.items()}
        for message in sorted(now - self._told):
            logger.warning(message)
        for message in sorted(self._told - now):
            logger.info("no longer so", was=message)
        self._told = now

    def _compare(self, listing: Listing, now: float) -> None:
        for source, signature in listing.files.items():
            pending = self._pending.get(source)
            if self._read.get(source) == signature:
                self._pending.pop(source, None)
            elif pending is None:
                self._pending[source] = _Pending(signature, now, now)
            elif pending.signature != signature:
                pending.signature, pending.since = signature, now
        # A file that went may come back (a checkout of git): what is in the database decides then.
        for state in (self._read, self._pending):
            for source in [source for source in state if source not in listing.files]:
                del state[source]
        self._invalid &= listing.files.keys()
        metrics.WATCHED_INVALID.set(len(self._invalid))

    def _take_quiet(self, now: float) -> None:
        for source, pending in list(self._pending.items()):
            quiet = now - pending.since >= self.quiet_seconds
            if (quiet or now - pending.first >= MAX_QUIETS * self.quiet_seconds) and not self._stopped.is_set():
                self._take(source, pending)

    def _take(self, source: Source, pending: _Pending) -> None:
        try:
            content, signature = blocking.call(sources.read, source.path)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("cannot be read", path=str(source.path), reason=error.strerror or str(error))
            self._settle(source, pending.signature)
            return
        if signature != pending.signature and time.monotonic() - pending.first < MAX_QUIETS * self.quiet_seconds:
            return  # it has just changed again: the next walk sees it
        outcome = self.take(source, content)
        (self._invalid.add if outcome is Outcome.INVALID else self._invalid.discard)(source)
        if outcome is Outcome.WAITS:
            self._waiting.add(source)
        self._settle(source, signature)

    def _settle(self, source: Source, signature: Signature) -> None:
        self._read[source] = signature
        self._pending.pop(source, None)

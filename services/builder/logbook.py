"""The log of a build while it grows: lines go in, a few chunks a second go to the database."""

import threading
import time

from sqlalchemy.orm import Session

from condarium.database import Database, logs
from condarium.errors import Unavailable

FLUSH_SECONDS = 0.2


class Logbook:
    """Collects text of one attempt, up to the cap in bytes. What was not surely written is handed out again."""

    def __init__(self, *, build_id: int, attempt: int, cap_bytes: int) -> None:
        self.build_id, self.attempt = build_id, attempt
        self._room = cap_bytes
        self._lines: list[str] = []
        self._number = 0
        self._pending: list[tuple[int, str]] = []
        self._mutex = threading.Lock()
        self._flushed = time.monotonic()

    def write(self, line: str) -> None:
        """One line, stamped with the time of day (UTC)."""
        # Lone surrogates, which file names may hold, are no UTF-8.
        encoded = f"{time.strftime('%H:%M:%S', time.gmtime())} {line.rstrip()}\n".encode("utf-8", "replace")
        with self._mutex:
            if self._room <= 0:
                return
            self._room -= len(encoded)
            fits = self._room > 0
            self._lines.append(encoded.decode() if fits else "... the log is longer than allowed and ends here\n")

    def write_out(self, session: Session) -> int:
        """Writes what there is in the caller's transaction, which may break off: then the next one writes it again.

        Returns how many chunks that were.
        """
        with self._mutex:
            if self._lines:
                self._pending.append((self._number, "".join(self._lines)))
                self._lines.clear()
                self._number += 1
            chunks = list(self._pending)
        for number, text in chunks:
            logs.append(session, build_id=self.build_id, attempt=self.attempt, number=number, text=text)
        return len(chunks)

    def flush(self, database: Database) -> None:
        """Writes what there is, at most five times a second; a database that is away delays it."""
        if time.monotonic() - self._flushed < FLUSH_SECONDS or not (self._lines or self._pending):
            return
        try:
            with database.transaction() as session:
                count = self.write_out(session)
        except Unavailable:
            return
        finally:
            self._flushed = time.monotonic()
        with self._mutex:
            del self._pending[:count]

"""The log of a build while it grows: lines go in, a few chunks a second go to the database."""

import threading
import time

from condarium.database import Database, logs
from condarium.errors import Unavailable

FLUSH_SECONDS = 0.2


class Logbook:
    """Collects text of one attempt; `take` hands over what has not been written, up to the cap in bytes."""

    def __init__(self, *, build_id: int, attempt: int, cap_bytes: int) -> None:
        self.build_id, self.attempt = build_id, attempt
        self._room = cap_bytes
        self._lines: list[str] = []
        self._number = 0
        self._mutex = threading.Lock()
        self._flushed = time.monotonic()

    def write(self, line: str) -> None:
        """One line, stamped with the time of day (UTC)."""
        stamped = f"{time.strftime('%H:%M:%S', time.gmtime())} {line.rstrip()}\n"
        with self._mutex:
            if self._room <= 0:
                return
            self._room -= len(stamped.encode())
            self._lines.append(stamped if self._room > 0 else "... the log is longer than allowed and ends here\n")

    def take(self) -> tuple[int, str] | None:
        """(number, text) of the next chunk; None when there is nothing to write."""
        with self._mutex:
            if not self._lines:
                return None
            text, number = "".join(self._lines), self._number
            self._lines.clear()
            self._number += 1
            self._flushed = time.monotonic()
            return number, text

    def flush(self, database: Database) -> None:
        """Writes what there is, at most five times a second; a database that is away delays it."""
        if time.monotonic() - self._flushed < FLUSH_SECONDS:
            return
        chunk = self.take()
        if chunk is None:
            return
        try:
            with database.transaction() as session:
                logs.append(session, build_id=self.build_id, attempt=self.attempt, number=chunk[0], text=chunk[1])
        except Unavailable:
            with self._mutex:
                self._lines.insert(0, chunk[1])
                self._number = chunk[0]

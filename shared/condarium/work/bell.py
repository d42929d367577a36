"""What threads of a pool sleep on between two looks at the database."""

import threading


class Bell:
    """Rung by any thread, at any time, at no cost. A ring while nobody sleeps is not lost: the next `wait` returns."""

    def __init__(self) -> None:
        self._rung = threading.Condition()
        self._rings = 0

    def ring(self) -> None:
        with self._rung:
            self._rings += 1
            self._rung.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Sleeps until the bell rings, `seconds` at most; not at all when it rang since `seen`.

        Returns how often it has rung, for the next call; a thread begins with -1 and so looks once before it sleeps.
        """
        with self._rung:
            if self._rings == seen:
                self._rung.wait(seconds)
            return self._rings

"""The states of a build and the moves between them; the states are the five that conda-store's clients know."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    #: waits for a builder, for its next attempt (`status_info` says why), or for disk
    QUEUED = "QUEUED"
    #: a builder holds its lease
    BUILDING = "BUILDING"
    #: all platforms are locked and the store's own is linked
    COMPLETED = "COMPLETED"
    #: final: the input is at fault, or the attempts are used up
    FAILED = "FAILED"
    #: final: somebody asked
    CANCELED = "CANCELED"


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED})

#: a key of what is kept with a build (`Build.settings`): the day in UTC whose channels it is solved with
EXCLUDE_NEWER = "exclude_newer"

LEGAL_MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.BUILDING, Status.CANCELED, Status.FAILED}),
    Status.BUILDING: frozenset({Status.BUILDING, Status.QUEUED, Status.COMPLETED, Status.FAILED, Status.CANCELED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELED: frozenset({Status.QUEUED}),
}


def may_move(old: Status, new: Status) -> bool:
    """FAILED and CANCELED go back to QUEUED only when a person asks for a retry."""
    return new in LEGAL_MOVES[old]


@dataclass(frozen=True)
class RetryPolicy:
    """10 s * 2^n, capped, with jitter; all in seconds."""

    max_attempts: int
    base_seconds: float
    cap_seconds: float

    def delay(self, attempt: int, *, jitter: float, retry_after: float | None = None) -> float:
        """Seconds to wait after attempt number `attempt` (from 1). `jitter` in [0, 1) spreads by up to a quarter.

        A server's Retry-After is a floor, not cut by the cap.
        """
        wait = min(self.cap_seconds, self.base_seconds * 2.0 ** max(0, attempt - 1)) * (1 + jitter / 4)
        return max(wait, retry_after or 0.0)


def takes_over(*, generation: int, floor: int) -> bool:
    """Whether a completed build becomes its environment's current one.

    Completion raises the floor to the build's generation, rollback to the highest generation given so far: an old
    slow build never overtakes a newer one or undoes a rollback.
    """
    return generation > floor

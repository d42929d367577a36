"""How long what nothing needs any more is kept: out of the settings, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

DAY_SECONDS = 86400
#: a hundred years: more than that is for ever, and less than what an interval of Postgres can hold
_FOR_EVER_SECONDS = 100 * 366 * DAY_SECONDS


@dataclass(frozen=True)
class Retention:
    """All in seconds but `generations`: how many builds of an environment stay besides its current one."""

    enabled: bool
    grace: float
    interval: float
    generations: int
    on_demand: float
    caches: float
    logs: float
    events: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Out of the values of settings at the global level; environments may have other `generations`."""

        def days(key: str) -> float:
            return _bounded(values[key] * DAY_SECONDS)

        return cls(
            enabled=bool(values["garbage"]),
            grace=_bounded(values["garbage_grace_seconds"]),
            interval=_bounded(values["garbage_interval_seconds"]),
            generations=int(values["keep_generations"]),
            on_demand=days("keep_on_demand_days"),
            caches=days("keep_caches_days"),
            logs=days("keep_logs_days"),
            events=days("keep_events_days"),
        )

    def with_grace(self, seconds: float | None) -> Self:
        """What a person asked for in place of the setting."""
        return self if seconds is None else replace(self, grace=_bounded(seconds))


def _bounded(seconds: float) -> float:
    return float(min(max(seconds, 0), _FOR_EVER_SECONDS))

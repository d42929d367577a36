"""One sweep, or one verification, as it was asked for."""

from collections.abc import Mapping
from typing import Any

from condarium.database.garbage.sweeps import Claimed
from condarium.domain.retention import Retention
from condarium.work.sweeper import Beat
from services.builder.handlers import Work
from services.builder.relinking import Relinker
from services.builder.sweeping import prefixes, verifying


def run(
    work: Work,
    environ: Mapping[str, str],
    relinker: Relinker,
    claimed: Claimed,
    retention: Retention,
    beat: Beat,
) -> dict[str, Any]:
    """The report of one sweep or one verification of the store; `environ` is that of the processes that read and
    delete. Raises LeaseLost, WorldFault, Unavailable."""
    if claimed.verb == "verify":
        return verifying.verify(work, environ, relinker, claimed.options, beat)
    return prefixes.sweep(
        work,
        environ,
        retention,
        beat,
        dry_run=bool(claimed.options.get("dry_run")),
        until_free=claimed.options.get("until_free"),
    )

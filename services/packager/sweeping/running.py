"""One sweep, or one verification, as it was asked for."""

from collections.abc import Mapping
from typing import Any

from condarium.database.garbage.sweeps import Claimed
from condarium.domain.retention import Retention
from condarium.work.sweeper import Beat
from services.packager.handlers import Work
from services.packager.sweeping import garbage, verifying


def run(
    work: Work,
    environ: Mapping[str, str],
    deployment: Mapping[str, Any],
    claimed: Claimed,
    retention: Retention,
    beat: Beat,
) -> dict[str, Any]:
    """The report of one sweep or one verification of storage; `environ` is that of the process that reads.

    Raises LeaseLost, WorldFault, Unavailable.
    """
    if claimed.verb == "verify":
        return verifying.verify(work, environ, claimed.options, beat)
    if claimed.options.get("dry_run"):
        return garbage.rehearse(work, deployment, retention, beat)
    return garbage.sweep(work, deployment, retention, beat, until_free=claimed.options.get("until_free"))

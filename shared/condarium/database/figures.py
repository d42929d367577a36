"""The figures of the whole installation that conda-store has under /metrics."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from condarium.database import counts
from condarium.database.tables import Build, Prefix, RowCount
from condarium.domain.build import Status


def installation(session: Session) -> dict[str, int]:
    """conda-store's names without their `conda_store_`: environments, builds by status (deleted ones too), and
    `disk_usage`, the bytes of all prefixes. It reads all builds: not for every request."""
    rows = session.execute(select(Build.status, func.count()).group_by(Build.status))
    by_status = {row[0]: row[1] for row in rows}
    found = {f"build_{status.lower()}": by_status.get(status, 0) for status in Status}
    found["environments"] = session.execute(select(counts.everywhere(RowCount.environments))).scalar_one()
    used = select(func.coalesce(func.sum(Prefix.size), 0)).where(Prefix.deleted_on.is_(None))
    found["disk_usage"] = int(session.execute(used).scalar_one())
    return found

"""What channels say about their packages."""

from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from condarium.database.package_sync import Changes
from condarium.database.tables import PackageSummary

_BATCH = 5_000


def write(session: Session, *, channel_id: int, summaries: Iterable[tuple[str, str]]) -> Changes:
    """Makes `summaries` all that the channel says. Raises what `summaries` raises."""
    rows = session.execute(
        select(PackageSummary.name, PackageSummary.summary).where(PackageSummary.channel_id == channel_id)
    )
    known = {row.name: row.summary for row in rows}
    before = set(known)
    changed: dict[str, str] = {}
    for name, summary in summaries:
        if known.pop(name, None) != summary:
            changed[name] = summary
    names = sorted(changed)
    for start in range(0, len(names), _BATCH):
        values = [
            {"channel_id": channel_id, "name": name, "summary": changed[name]} for name in names[start : start + _BATCH]
        ]
        made = upsert(PackageSummary).values(values)
        session.execute(
            made.on_conflict_do_update(index_elements=["channel_id", "name"], set_={"summary": made.excluded.summary})
        )
    gone = [name for name in known if name not in changed]
    if gone:
        session.execute(
            delete(PackageSummary)
            .where(PackageSummary.channel_id == channel_id, PackageSummary.name.in_(gone))
            .execution_options(synchronize_session=False)
        )
    return Changes(len(changed), len(gone), len(before.union(changed).difference(gone)))

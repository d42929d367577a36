"""Brings the rows of one part of a channel to what its repodata says, touching only what differs.

Records are streamed in and compared by digest while they pass; what is new goes by COPY into a temporary table, and a
fixed number of statements does the rest, however many records there are. All of it is the caller's one transaction.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from condarium.database.connection import Database
from condarium.database.tables import Package, PackageName, PackageRecord
from condarium.domain.package_index import IndexRecord
from condarium.domain.version_order import sort_key

#: "channel" in ASCII, less the vowels: the space of our advisory locks
_LOCK = 0x63686E6C
_BATCH = 5_000
#: up to so many changes are looked up one by one
_FEW = 1_000
_ODD = re.compile(r'[\\\t\n\r"]')
_FIELDS = (
    "digest", "name", "version", "file_name", "build", "build_number", "license", "size", "timestamp", "sha256",
    "depends", "constrains",
)  # fmt: skip


@dataclass(frozen=True)
class Changes:
    """Rows of records (or summaries) that came and went, and how many there are now."""

    added: int
    removed: int
    total: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def write_records(
    database: Database,
    *,
    channel_id: int,
    sync_id: int,
    records: Iterable[IndexRecord],
    finish: Callable[[Session, Changes], None],
    names: Collection[str] | None = None,
    count: int = 0,
) -> Changes:
    """Makes `records` all that the part has, in one transaction that `finish` ends, with whatever it adds or raises.

    With `names`, all that it has of these; `count` is then how many it has of all. Nothing is changed when `records`
    raises. No transaction is open while they are only compared: that may take long.
    """
    with database.transaction() as session:
        missing = _digests(session, channel_id, sync_id, names)
    before = len(missing) if names is None else count
    fresh = _fresh(records, missing)
    head = list(islice(fresh, _BATCH))
    with database.transaction() as session:
        # What does not fit a batch is compared while it is copied.
        added = _stage(session, chain(head, fresh)) if head else 0
        if head or missing:
            inserted, removed = _apply(session, channel_id, sync_id, added, missing)
            changes = Changes(inserted, removed, before + inserted - removed)
        else:
            changes = Changes(0, 0, before)
        finish(session, changes)
    return changes


def _fresh(records: Iterable[IndexRecord], missing: set[bytes]) -> Iterator[IndexRecord]:
    """Those that are not known; what is known is taken out of `missing`."""
    for record in records:
        if record.digest in missing:
            missing.remove(record.digest)
        else:
            yield record


def _digests(session: Session, channel_id: int, sync_id: int, names: Collection[str] | None) -> set[bytes]:
    query = select(PackageRecord.digest).where(PackageRecord.sync_id == sync_id)
    if names is not None:
        query = (
            query.join(Package, Package.id == PackageRecord.package_id)
            .join(PackageName, PackageName.id == Package.name_id)
            .where(PackageName.channel_id == channel_id, PackageName.name.in_({name.lower() for name in names}))
        )
    rows = session.execute(query.execution_options(yield_per=_BATCH)).scalars()
    return {bytes(digest) for digest in rows}


def _stage(session: Session, records: Iterable[IndexRecord]) -> int:
    session.execute(text(_INCOMING))
    cursor = session.connection().connection.driver_connection.cursor()  # type: ignore[union-attr]
    count = 0
    with cursor, cursor.copy(f"copy incoming ({', '.join(_FIELDS)}, version_key) from stdin") as copy:
        for record in records:
            copy.write(_line(record))
            count += 1
    return count


def _line(record: IndexRecord) -> str:
    """A line of COPY's text format; the driver's own is slower, and there are half a million of them."""
    digest, *plain, depends, constrains = record
    fields = ["\\N" if value is None else str(value) for value in plain]
    if _ODD.search("".join((*fields[:6], fields[8], *depends, *constrains))):
        fields = ["\\N" if value is None else _escaped(str(value)) for value in plain]
        arrays = [_escaped(_array([_quoted(item) for item in items])) for items in (depends, constrains)]
    else:
        arrays = [_array(depends), _array(constrains)]
    key = sort_key(record.version)
    return "\t".join((f"\\\\x{digest.hex()}", *fields, *arrays, f"\\\\x{key.hex()}")) + "\n"


def _array(items: Sequence[str]) -> str:
    return '{"' + '","'.join(items) + '"}' if items else "{}"


def _quoted(item: str) -> str:
    return item.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _apply(session: Session, channel_id: int, sync_id: int, added: int, missing: set[bytes]) -> tuple[int, int]:
    """What came and what went."""
    _begin(session, channel_id, changes=added + len(missing))
    values = {"channel": channel_id, "sync": sync_id}
    inserted = removed = 0
    if added:
        session.execute(text("analyze incoming"))
        for statement in _ADD:
            inserted = _rows(session, statement, values)
    if missing:
        removed = _rows(session, _REMOVE, values | {"missing": list(missing)})
    _follow_up(session, removed=bool(missing))
    return inserted, removed


def remove_part(session: Session, *, channel_id: int, sync_id: int) -> None:
    """Deletes all records of a part, and what only it had."""
    _begin(session, channel_id, changes=_FEW + 1)
    _rows(session, _REMOVE_ALL, {"sync": sync_id})
    _follow_up(session, removed=True)


def _begin(session: Session, channel_id: int, *, changes: int) -> None:
    # Names and versions are shared by the subdirs of a channel: one at a time writes them.
    session.execute(text("select pg_advisory_xact_lock(:space, :channel)"), {"space": _LOCK, "channel": channel_id})
    session.execute(text("set local work_mem = '128MB'"))
    if changes > _FEW:
        # The planner does not know yet what this transaction has written, and would look up each row in all of it.
        session.execute(text("set local enable_nestloop = off"))
    session.execute(text("create temp table touched (package_id bigint, name_id bigint) on commit drop"))


def _follow_up(session: Session, *, removed: bool) -> None:
    """Brings versions and names in line with the records of what was touched."""
    session.execute(text("analyze touched"))
    session.execute(text(_LICENSES))
    if removed:
        session.execute(text(_EMPTY_PACKAGES))
    session.execute(text(_COUNTS))
    if removed:
        session.execute(text(_EMPTY_NAMES))


def _rows(session: Session, statement: str, values: Mapping[str, Any]) -> int:
    """Of a statement whose last part selects the number of rows."""
    return int(session.execute(text(statement), values).scalar_one())


_INCOMING = """
create temp table incoming (
    digest bytea, name text collate "C", version text collate "C", version_key bytea, file_name text,
    build text collate "C", build_number bigint, license text, size bigint, "timestamp" bigint, sha256 text,
    depends text[], constrains text[]
) on commit drop
"""
# In one order everywhere: two transactions that add the same names would wait for each other crosswise.
_ADD = (
    """
    with added as (
        insert into package_names (channel_id, name)
        select :channel, name from (select distinct name from incoming) as found order by name
        on conflict (channel_id, name) do nothing returning 1
    ) select count(*) from added
    """,
    """
    with added as (
        insert into packages (name_id, version, version_key, license)
        select distinct on (n.id, i.version_key, i.version) n.id, i.version, i.version_key, i.license
        from incoming i join package_names n on n.channel_id = :channel and n.name = i.name
        order by n.id, i.version_key, i.version, i.timestamp desc, i.build_number desc
        on conflict (name_id, version_key, version) do nothing returning 1
    ) select count(*) from added
    """,
    """
    with added as (
        insert into package_records (
            sync_id, digest, package_id, file_name, build, build_number, license, size, timestamp, sha256, depends,
            constrains
        )
        select :sync, i.digest, p.id, i.file_name, i.build, i.build_number, i.license, i.size, i.timestamp, i.sha256,
            i.depends, i.constrains
        from incoming i
        join package_names n on n.channel_id = :channel and n.name = i.name
        join packages p on p.name_id = n.id and p.version_key = i.version_key and p.version = i.version
        on conflict (sync_id, digest) do nothing returning package_id
    ), noted as (
        insert into touched (package_id, name_id)
        select p.id, p.name_id from packages p where p.id in (select package_id from added) returning 1
    ) select count(*) from added
    """,
)
_REMOVE = """
with removed as (
    delete from package_records where sync_id = :sync and digest = any(cast(:missing as bytea[])) returning package_id
), noted as (
    insert into touched (package_id, name_id)
    select p.id, p.name_id from packages p where p.id in (select package_id from removed) returning 1
) select count(*) from removed
"""
_REMOVE_ALL = _REMOVE.replace("and digest = any(cast(:missing as bytea[]))", "")
_LICENSES = """
update packages p set license = newest.license
from (
    select distinct on (r.package_id) r.package_id, r.license from package_records r
    where r.package_id in (select package_id from touched)
    order by r.package_id, r.timestamp desc, r.build_number desc, r.digest
) as newest
where p.id = newest.package_id and p.license is distinct from newest.license
"""
_EMPTY_PACKAGES = """
delete from packages p where p.id in (select package_id from touched)
and not exists (select from package_records r where r.package_id = p.id)
"""
_COUNTS = """
update package_names n set versions = counted.versions
from (
    select t.name_id, count(p.id) as versions
    from (select distinct name_id from touched) as t left join packages p on p.name_id = t.name_id group by t.name_id
) as counted
where n.id = counted.name_id and n.versions <> counted.versions
"""
_EMPTY_NAMES = "delete from package_names n where n.id in (select name_id from touched) and n.versions = 0"


def settle(session: Session) -> None:
    """Tells the planner what has become of the tables, after a change of many rows."""
    for table in ("package_names", "packages", "package_records", "package_summaries"):
        session.execute(text(f"analyze {table}"))

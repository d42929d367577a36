"""The package index is what repodata says: what comes, changes and goes is followed, and nothing else is touched."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from benchmarks import synthetic_channel
from condarium.database import Database, channels, package_sync
from condarium.domain.package_index import index_record
from condarium.domain.version_order import sort_key
from condarium.errors import LeaseLost
from services.watcher import channel_part
from services.watcher.channel_part import Outcome
from tests.fixtures.http_directory import Served, serve_directory
from tests.fixtures.repodata import Index, plan, record, write_json, write_repodata

TABLES = ("package_names", "packages", "package_records", "package_summaries")


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    directory = tmp_path / "channel"
    write_repodata(directory, record("numpy", "1.9"), record("numpy", "1.10"), record("zlib", "1.3", size=7))
    return directory


@pytest.fixture
def served(channel: Path) -> Iterator[Served]:
    with serve_directory(channel) as found:
        yield found


@pytest.fixture
def index(database: Database, served: Served) -> Index:
    return Index(database, plan(served.url))


def everything(index: Index) -> dict[str, list[dict[str, Any]]]:
    return {table: index.rows(table) for table in TABLES}


def changed(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> dict[str, int]:
    """How many rows of each table are others than before, or gone."""
    counts = {}
    for table in TABLES:
        old, new = ({repr(row) for row in rows} for rows in (before[table], after[table]))
        counts[table] = max(len(old - new), len(new - old))
    return {table: count for table, count in counts.items() if count}


def test_a_first_sync_brings_everything(index: Index) -> None:
    outcomes = index.sync()
    assert outcomes["linux-64"] == Outcome(True, added=3, removed=0, records=3)
    assert index.packages() == [("numpy", "1.9"), ("numpy", "1.10"), ("zlib", "1.3")]
    numpy, zlib = index.rows("package_names")
    assert (numpy["name"], numpy["versions"], zlib["versions"]) == ("numpy", 2, 1)
    (found,) = [row for row in index.rows("package_records") if row["size"] == 7]
    assert found["depends"] == ["python >=3.11"]
    assert found["file_name"] == "zlib-1.3-h0_0.conda"
    assert [bytes(row["version_key"]) for row in index.rows("packages") if row["version"] == "1.10"] == [
        sort_key("1.10")
    ]


def test_what_is_unchanged_costs_one_request_and_no_write(index: Index, served: Served) -> None:
    index.sync()
    before = everything(index)
    served.seen.clear()
    assert index.sync()["linux-64"] == Outcome(False, records=3)
    assert [path for path in served.seen if "linux-64" in path] == ["/linux-64/repodata.json.zst"]
    assert changed(before, everything(index)) == {}


def test_the_same_bytes_from_a_server_without_validators_write_nothing(index: Index, channel: Path) -> None:
    index.sync()
    before = everything(index)
    for file in (channel / "linux-64").iterdir():
        file.touch()
    assert index.sync()["linux-64"] == Outcome(False, records=3)
    assert changed(before, everything(index)) == {}


def test_other_bytes_that_mean_the_same_write_nothing(index: Index, channel: Path) -> None:
    index.sync()
    before = everything(index)
    write_repodata(channel, record("zlib", "1.3", size=7), record("numpy", "1.10"), record("numpy", "1.9"))
    assert index.sync()["linux-64"] == Outcome(False, records=3)
    assert changed(before, everything(index)) == {}


def test_a_patched_record_touches_only_itself(index: Index, channel: Path) -> None:
    index.sync()
    before = everything(index)
    patched = record("numpy", "1.10", depends=["python >=3.11,<3.13"])
    write_repodata(channel, record("numpy", "1.9"), patched, record("zlib", "1.3", size=7))
    assert index.sync()["linux-64"] == Outcome(True, added=1, removed=1, records=3)
    assert changed(before, everything(index)) == {"package_records": 1}
    assert ["python >=3.11,<3.13"] in [row["depends"] for row in index.rows("package_records")]


def test_a_patched_licence_shows_in_the_list(index: Index, channel: Path) -> None:
    index.sync()
    before = everything(index)
    write_repodata(
        channel, record("numpy", "1.9"), record("numpy", "1.10"), record("zlib", "1.3", size=7, license="Zlib")
    )
    index.sync()
    assert changed(before, everything(index)) == {"package_records": 1, "packages": 1}
    assert [row["license"] for row in index.rows("packages")].count("Zlib") == 1


def test_what_is_yanked_goes_with_all_that_only_it_had(index: Index, channel: Path) -> None:
    index.sync()
    write_repodata(channel, record("numpy", "1.10"))
    assert index.sync()["linux-64"] == Outcome(True, added=0, removed=2, records=1)
    assert index.packages() == [("numpy", "1.10")]
    assert [(row["name"], row["versions"]) for row in index.rows("package_names")] == [("numpy", 1)]


def test_what_is_added_touches_no_other_row(index: Index, channel: Path) -> None:
    index.sync()
    before = everything(index)
    added = record("numpy", "2.0", build="h1_1")
    write_repodata(channel, record("numpy", "1.9"), record("numpy", "1.10"), record("zlib", "1.3", size=7), added)
    assert index.sync()["linux-64"] == Outcome(True, added=1, removed=0, records=4)
    assert changed(before, everything(index)) == {"package_records": 1, "packages": 1, "package_names": 1}


def test_a_version_stays_while_another_subdir_has_it(index: Index, database: Database, channel: Path) -> None:
    both = Index(database, plan("unused"))
    both.plan = index.plan
    both.plan.deployment["conda_platforms"] = ["linux-64", "noarch"]  # type: ignore[index]
    write_repodata(channel, record("numpy", "1.9", build="py_0"), subdir="noarch")
    both.sync()
    write_repodata(channel, record("zlib", "1.3", size=7))
    both.sync()
    assert both.packages() == [("numpy", "1.9"), ("zlib", "1.3")]
    both.plan.deployment["conda_platforms"] = ["linux-64"]  # type: ignore[index]
    both.sync()
    with database.transaction() as session:
        assert channels.forget(session) == "noarch"
    assert both.packages() == [("zlib", "1.3")]


def test_summaries_come_out_of_channeldata(index: Index, channel: Path) -> None:
    index.sync()
    assert index.rows("package_summaries") == []
    packages = {"numpy": {"summary": "Arrays\n of numbers"}, "zlib": {"summary": "Z" * 5000}, "none": {"license": "x"}}
    write_json(channel / "channeldata.json", {"channeldata_version": 1, "packages": packages, "subdirs": []})
    index.sync()
    found = {row["name"]: row["summary"] for row in index.rows("package_summaries")}
    assert found["numpy"] == "Arrays of numbers"
    assert len(found["zlib"]) == 1000
    assert set(found) == {"numpy", "zlib"}
    before = everything(index)
    write_json(channel / "channeldata.json", {"packages": {"numpy": {"summary": "Arrays"}}})
    index.sync()
    assert {row["name"]: row["summary"] for row in index.rows("package_summaries")} == {"numpy": "Arrays"}
    assert changed(before, everything(index)) == {"package_summaries": 2}


def test_a_channel_without_channeldata_or_the_platform_is_no_fault(index: Index, served: Served) -> None:
    served.answers["linux-64/repodata.json"] = 404
    served.answers["linux-64/repodata.json.zst"] = 404
    assert index.sync() == {"linux-64": Outcome(), "channeldata.json": Outcome()}
    with index.database.transaction() as session:
        (found,) = channels.listed(session)
    assert [part.is_absent for part in found.parts] == [True, True]
    assert found.updated_on is not None


def test_what_disappears_as_a_whole_stays_and_is_said(index: Index, served: Served) -> None:
    index.sync()
    served.answers["linux-64/repodata.json"] = 404
    served.answers["linux-64/repodata.json.zst"] = 404
    said = index.sync()["linux-64"]
    assert isinstance(said, str)
    assert "is there no more, but had 3 records" in said
    assert len(index.packages()) == 3


def test_plain_json_does_where_there_is_no_zst(index: Index, channel: Path, served: Served) -> None:
    (channel / "linux-64" / "repodata.json.zst").unlink()
    index.sync()
    assert len(index.packages()) == 3
    served.seen.clear()
    index.sync()
    assert [path for path in served.seen if "linux-64" in path] == ["/linux-64/repodata.json"]


def test_a_second_mirror_answers_where_the_first_is_dead(database: Database, served: Served) -> None:
    wanted = plan("http://127.0.0.1:9")
    mirrors = {"conda-forge": ("http://127.0.0.1:9", served.url)}
    object.__setattr__(wanted.channels, "mirrors", mirrors)
    index = Index(database, wanted)
    assert index.sync()["linux-64"] == Outcome(True, added=3, removed=0, records=3)


BROKEN: dict[str, tuple[Callable[[bytes, bytes], bytes], str]] = {
    "cut json": (lambda raw, packed: raw[: len(raw) - len(raw) // 8], "it is cut off, or no JSON"),
    "cut zst": (lambda raw, packed: packed[: len(packed) // 2], "cannot be"),
    "cut inside": (lambda raw, packed: zstandard.compress(raw[:-1]), "it is cut off"),
    "empty": (lambda raw, packed: b"", "it is cut off"),
    "html": (lambda raw, packed: b"<html>log in first</html>", "expected {, found '<'"),
    "an error": (lambda raw, packed: b'{"error": "no"}', "it has no packages"),
    "more": (lambda raw, packed: raw + b"x", "something after its end"),
    "deep": (lambda raw, packed: b'{"packages": {"a": ' + b"[" * 100_000, "nested too deeply"),
    "bytes": (lambda raw, packed: b'{"packages": {"\xff": 1}}', "no UTF-8"),
}


def test_what_is_broken_changes_nothing_and_is_said(index: Index, channel: Path, served: Served) -> None:
    index.sync()
    before = everything(index)
    # More than are held before they are copied into the database.
    write_repodata(channel, *(record(f"new-{number}") for number in range(6000)))
    files = [(channel / "linux-64" / name).read_bytes() for name in ("repodata.json", "repodata.json.zst")]
    for failures, (kind, (broken, said)) in enumerate(BROKEN.items(), start=1):
        served.answers["repodata.json.zst"] = broken(*files)
        outcome = index.sync()["linux-64"]
        assert isinstance(outcome, str), kind
        assert said in outcome, kind
        assert changed(before, everything(index)) == {}, kind
        with index.database.transaction() as session:
            (found,) = channels.listed(session)
        part = next(each for each in found.parts if each.part == "linux-64")
        assert (part.records, part.failures, part.error) == (3, failures, outcome)
        assert part.due_on is not None
        assert part.failing_since is not None
    served.answers.clear()
    index.sync()
    assert len(index.packages()) == 6000


def test_records_that_are_none_are_left_out_and_counted(index: Index, channel: Path) -> None:
    odd = [
        {"name": "no-version", "build": "0", "version": None},
        record("nul", license="a\0b"),
        record("surrogate", license="\ud800"),
        record("huge", size=2**70),
        record("negative", build_number=-1),
        record("not-a-list", depends=[1]),
        record("endless", "1." * 5000 + "1"),
        record("n" * 5000),
        record("built", build="b" * 5000),
    ]
    files = {
        str(number): each
        for number, each in enumerate([*odd, record("good", "1.0~odd"), record("long", "0a." * 80 + "1"), "text"])
    }
    write_json(channel / "linux-64" / "repodata.json", {"packages": files}, zst=True)
    outcome = index.sync()["linux-64"]
    assert isinstance(outcome, Outcome)
    assert (outcome.records, outcome.skipped) == (2, 10)
    assert [name for name, _ in index.packages()] == ["good", "long"]


def test_every_character_arrives_as_it_was(index: Index, channel: Path) -> None:
    odd = ['a"b', "a\\b", "tab\there", "line\nfeed\r", "{x,y}", "NULL", "\\N", "", "ünï", "'"]
    write_repodata(channel, record("odd", depends=odd, constrains=[], license='\\N "\t'), record("none", license=None))
    index.sync()
    none, found = sorted(index.rows("package_records"), key=lambda row: row["file_name"])
    assert (found["depends"], found["constrains"], found["license"]) == (odd, [], '\\N "\t')
    assert none["license"] is None


def test_a_dead_channel_stops_no_other(database: Database, served: Served) -> None:
    index = Index(database, plan(served.url, names=("bioconda", "conda-forge"), bioconda="http://127.0.0.1:9"))
    index.sync()
    assert len(index.packages()) == 3
    with database.transaction() as session:
        dead, alive = channels.listed(session)
        assert channels.failing(session) == 2
    assert dead.url.endswith("/bioconda")
    assert dead.updated_on is None
    assert all("Connection refused" in (part.error or "") for part in dead.parts)
    assert alive.updated_on is not None


def test_a_refused_channel_says_where_credentials_are_set(index: Index, served: Served) -> None:
    served.authorization = "Bearer right"
    said = index.sync()["linux-64"]
    assert isinstance(said, str)
    assert "401" in said
    assert "credential" in said


def test_a_channel_that_is_indexed_no_more_goes_with_all_it_had(
    index: Index, database: Database, served: Served
) -> None:
    index.sync()
    other = Index(database, plan(served.url, names=("other",), other=served.url))
    other.sync()
    with database.transaction() as session:
        assert [each.url for each in channels.listed(session)] == ["https://conda.anaconda.org/other"]
        assert channels.forget(session) == "https://conda.anaconda.org/conda-forge"
        assert channels.forget(session) is None
        assert session.execute(text("select count(*) from package_records")).scalar_one() == 3
        assert session.execute(text("select count(*) from packages")).scalar_one() == 3


def test_the_sample_channel_is_indexed_as_it_is(database: Database, sample_channel: Path) -> None:
    index = Index(database, plan(sample_channel.as_uri()))
    outcome = index.sync()["linux-64"]
    assert isinstance(outcome, Outcome)
    assert outcome.records > 10
    assert outcome.skipped == 0
    assert "python" in {name for name, _ in index.packages()}
    assert index.sync()["linux-64"] == Outcome(False, records=outcome.records)


def test_two_never_read_the_same_part_and_who_lost_it_changes_nothing(index: Index) -> None:
    index.sync()
    with index.database.transaction() as session:
        session.execute(text("delete from package_records"))
        session.execute(text("update channel_syncs set not_before = null, seen = '{}'"))
    first, second = index.take("one"), index.take("two")
    assert first is not None
    assert second is not None
    assert {first.part, second.part} == {"linux-64", "channeldata.json"}
    assert index.take("three") is None
    slow = first if first.part == "linux-64" else second
    with index.database.transaction() as session:
        session.execute(text("update channel_syncs set lease_until = clock_timestamp() - interval '1 s'"))
    taken = [index.take("three"), index.take("three")]
    assert "linux-64" in {job.part for job in taken if job is not None}
    with pytest.raises(LeaseLost):
        channel_part.index(slow, index.database)
    assert index.rows("package_records") == []


def test_statements_do_not_grow_with_records(database: Database) -> None:
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        statements.append(statement)

    counts = []
    for channel_id, size in ((1, 2_000), (2, 20_000)):
        made = [index_record(*each) for each in synthetic_channel.records(size)]
        with database.transaction() as session:
            session.execute(text("insert into channels (id, url) values (:id, :url)"), {"id": channel_id, "url": size})
        statements.clear()
        event.listen(Engine, "before_cursor_execute", note)
        try:
            done = package_sync.write_records(
                database,
                channel_id=channel_id,
                sync_id=channel_id,
                records=(each for each in made if each is not None),
                finish=lambda session, changes: None,
            )
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        assert (done.added, done.total) == (size, size)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert counts[0] <= 16

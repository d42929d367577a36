"""Where a channel has sharded repodata, only the names that changed are fetched; it never makes the index wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from condarium.conda import repodata
from condarium.conda.channels import ChannelSettings
from condarium.conda.repodata import shards as repodata_shards
from condarium.database import Database
from services.watcher.channel_part import Outcome
from tests.fixtures.http_directory import Served, serve_directory
from tests.fixtures.repodata import CHANNEL, Index, plan, record, write_repodata, write_shards

OLD = (record("numpy", "1.9"), record("numpy", "1.10"), record("zlib", "1.3"), record("left", "1"))
NEW = (record("numpy", "1.9", depends=["python <4"]), record("numpy", "1.10"), record("left", "1"), record("new", "1"))
LIST = "/linux-64/repodata_shards.msgpack.zst"


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    return tmp_path / "channel"


@pytest.fixture
def served(channel: Path) -> Iterator[Served]:
    channel.mkdir()
    with serve_directory(channel) as found:
        yield found


@pytest.fixture
def index(database: Database, served: Served) -> Index:
    return Index(database, plan(served.url))


def asked(served: Served) -> list[str]:
    """What of linux-64 was asked for since the last time."""
    paths = [path for path in served.seen if path.startswith("/linux-64/")]
    served.seen.clear()
    return paths


def contents(index: Index) -> list[tuple[str, list[str]]]:
    return sorted((row["file_name"], row["depends"]) for row in index.rows("package_records"))


def test_only_shards_that_differ_are_fetched(index: Index, channel: Path, served: Served) -> None:
    write_shards(channel, *OLD)
    write_repodata(channel, *OLD)
    assert index.sync()["linux-64"] == Outcome(True, added=4, removed=0, records=4)
    asked(served)
    write_shards(channel, *NEW)
    assert index.sync()["linux-64"] == Outcome(True, added=2, removed=2, records=4)
    found = asked(served)
    assert found[0] == LIST
    assert len(found) == 3
    assert all("/shards/" in path for path in found[1:])
    assert index.packages() == [("left", "1"), ("new", "1"), ("numpy", "1.9"), ("numpy", "1.10")]
    assert ("numpy-1.9-h0_0.conda", ["python <4"]) in contents(index)
    assert index.sync()["linux-64"] == Outcome(False, records=4)
    assert asked(served) == [LIST]


def test_a_list_is_trusted_only_once_a_file_was_read_that_is_as_new(
    index: Index, channel: Path, served: Served
) -> None:
    """The file may come out of a cache that is behind: what the list has more would be missing for good."""
    write_repodata(channel, *OLD)
    write_shards(channel, *NEW)
    index.sync()
    assert "numpy" in dict(index.packages())
    asked(served)
    write_repodata(channel, *NEW)
    newest = (*NEW, record("newest", "1"))
    write_shards(channel, *newest)
    index.sync()
    assert any(path.endswith("repodata.json.zst") for path in asked(served))
    index.sync()
    assert [path.endswith("repodata.json.zst") for path in asked(served)] == [False, False]
    assert index.packages()[-1] == ("numpy", "1.10")
    assert ("newest", "1") in index.packages()


def test_a_shard_that_is_not_what_it_says_changes_nothing(index: Index, channel: Path, served: Served) -> None:
    write_shards(channel, *OLD)
    write_repodata(channel, *OLD)
    index.sync()
    before = contents(index)
    write_shards(channel, *NEW)
    served.answers[".msgpack.zst"] = b"broken"
    said = index.sync()["linux-64"]
    assert isinstance(said, str)
    assert "cannot be u" in said
    served.answers.clear()
    served.answers |= {path.name: b"broken" for path in (channel / "linux-64" / "shards").iterdir()}
    said = index.sync()["linux-64"]
    assert isinstance(said, str)
    assert "another sha256 than its name says" in said
    assert contents(index) == before


def test_shards_and_the_file_of_everything_say_the_same(sample_channel: Path, index: Index) -> None:
    """Written by rattler's own indexer: each record has the same digest, whichever way it is read."""
    with serve_directory(sample_channel) as served:
        settings = ChannelSettings(mirrors={"conda-forge": (served.url,)})
        listed = repodata_shards.bring_list(CHANNEL, "linux-64", settings, {})
        assert isinstance(listed, repodata_shards.Shards)
        by_name = {each.digest for each in repodata_shards.records(listed, listed.digests, settings)}
        whole = repodata.bring(CHANNEL, "linux-64", settings, {})
        assert isinstance(whole, repodata.Brought)
        with whole.spool:
            assert {each.digest for each in repodata.Records(whole)} == by_name
        assert len(by_name) > 10

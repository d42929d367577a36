"""A build of a day sees what channels had at its end, in UTC, and stands beside what its environment points to."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from condarium.database import Database, builds, environments, leases
from condarium.domain.build import EXCLUDE_NEWER, Status
from condarium.domain.specification import parse
from condarium.work.submission import submit
from deploy.local.channel.archive import Package
from tests.fixtures.engine import Builder, MakeChannel

LAST = datetime(2026, 11, 20, 23, 59, 59, 999000, UTC)


def date_records(channel: Path, timestamps: dict[str, int | None]) -> None:
    """Milliseconds by version; None for none."""
    file = channel / "noarch/repodata.json"
    repodata = json.loads(file.read_text())
    for record in [*repodata["packages"].values(), *repodata["packages.conda"].values()]:
        record.pop("indexed_timestamp", None)
        record.pop("timestamp", None)
        moment = timestamps[record["version"]]
        if moment is not None:
            record["timestamp"] = moment
    file.write_text(json.dumps(repodata))


@pytest.fixture
def dated(make_channel: MakeChannel) -> str:
    """thing 1 of that day's last moment, 2 of the next day's first; old is of no time."""
    things = [Package(name="thing", version=version, build_pattern="0", noarch="generic") for version in "12"]
    channel = make_channel([*things, Package(name="old", version="0", build_pattern="0", noarch="generic")])
    last = int(LAST.timestamp() * 1000)
    date_records(channel, {"1": last, "2": last + 1, "0": None})
    return channel.as_uri()


def test_what_is_newer_than_the_day_is_not_there(builder: Builder, dated: str) -> None:
    spec = {"channels": [dated], "dependencies": ["thing", "old"]}
    versions = {
        day: {record.name: record.version for record in said.locks["linux-64"].conda}
        for day in (None, "2026-11-20", "2026-11-21")
        if (said := builder.run(spec, exclude_newer=day))
    }
    assert versions == {
        None: {"thing": "2", "old": "0"},
        "2026-11-20": {"thing": "1", "old": "0"},
        "2026-11-21": {"thing": "2", "old": "0"},
    }


def test_the_same_packages_are_the_same_lock_on_any_day(builder: Builder, dated: str) -> None:
    spec = {"channels": [dated], "dependencies": ["thing 1"]}
    said = [builder.run(spec, exclude_newer=day) for day in (None, "2026-11-20")]
    assert said[0].locks["linux-64"].hash == said[1].locks["linux-64"].hash
    assert "Packages newer than 2026-11-20 are left out" in said[1].log


def test_what_came_later_is_missing_and_the_day_is_named(builder: Builder, dated: str) -> None:
    spec = {"channels": [dated], "dependencies": ["thing >=2"]}
    _, _, message = builder.run(spec, exclude_newer="2026-11-20").failure
    assert "Nothing newer than 2026-11-20 was looked at" in message


def test_a_build_of_a_day_never_becomes_current(database: Database) -> None:
    specification = parse("name: env\ndependencies: [python]\n", check_match_spec=lambda spec: None)
    hashes = []
    for besides, current in (({}, True), ({EXCLUDE_NEWER: "2026-11-20"}, False)):
        with database.transaction() as session:
            made = submit(session, specification, namespace="default", actor="me", source="api", besides=besides)
        with database.transaction() as session:
            claim = leases.claim(session, builds.CLAIMABLE, owner="o", lease_seconds=60)
        assert claim is not None
        with database.transaction() as session:
            environment = environments.load(session, "default", "env", lock=True)
            build = builds.load_claimed(session, claim)
            hashes.append(build.specification.sha256)
            builds.move(session, build, Status.COMPLETED)
            session.flush()
            assert environments.point_to(session, environment, build, actor="me", source="builder") is current
            assert (environment.current_build_id == made.build_id) is current
    assert len(set(hashes)) == 2

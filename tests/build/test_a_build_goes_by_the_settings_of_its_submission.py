"""From the setting to the lock: virtual packages, artifacts, limits; and what a prefix shares is measured."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from condarium.conda import matchspec
from condarium.conda.prefix_size import measure
from condarium.database import Database, builds, namespaces, settings, usage
from condarium.database.settings import GLOBAL, Place
from condarium.database.tables import BuildArtifact
from condarium.domain.specification import parse
from condarium.work.submission import submit
from deploy.local.channel.archive import Package
from tests.fixtures.engine import Builder, MakeChannel
from tests.fixtures.patience import wait_for
from tests.fixtures.system import System, running_system


@pytest.fixture
def system(database_url: str, amqp_url: str, sample_channel: Path) -> Iterator[System]:
    with running_system(database_url=database_url, amqp_url=amqp_url, channel=sample_channel, services=()) as found:
        yield found


def put(database: Database, namespace: str = "", **values: Any) -> None:
    with database.transaction() as session:
        space = namespaces.ensure(session, namespace, actor="test") if namespace else None
        settings.change(session, Place(space.id) if space else GLOBAL, values, actor="test")


def post(database: Database, namespace: str, **more: Any) -> int:
    text = json.dumps({"name": "env", "channels": ["conda-forge"], "dependencies": ["tzdata"], **more})
    wanted = parse(text, check_match_spec=matchspec.check)
    with database.transaction() as session:
        return submit(session, wanted, namespace=namespace, actor="me", source="api").build_id


def wait(database: Database, build_id: int, status: str) -> str:
    def found() -> tuple[str, str | None]:
        with database.transaction() as session:
            row = builds.load(session, build_id)
            return row.status, row.status_info

    wait_for(lambda: found()[0] == status, seconds=60, what=lambda: f"{status}: {found()}")
    return found()[1] or ""


def test_a_build_goes_by_the_settings_of_its_submission(
    system: System, database: Database, make_channel: MakeChannel
) -> None:
    needs_cuda = Package(name="gpu", version="1", build_pattern="0", depends=("__cuda >=12",), noarch="generic")
    channel = make_channel([needs_cuda])
    put(database, conda_indexed_channels=[])
    put(
        database,
        "team",
        virtual_packages={"linux-64": ["__cuda=12.4=0"]},
        build_artifacts=["YAML"],
        conda_channel_alias=channel.parent.as_uri(),
    )
    wanted = {"channels": [channel.name], "dependencies": ["gpu"]}
    first, elsewhere = post(database, "team", **wanted), post(database, "other", **wanted | {"channels": []})
    put(database, "team", virtual_packages=None, build_artifacts=None, conda_channel_alias=None)
    later = post(database, "team", channels=[], dependencies=["tzdata", "__cuda"])
    system.start("builder", CONDARIUM_DEFAULT_CHANNELS="conda-forge")
    wait(database, first, "COMPLETED")
    with database.transaction() as session:
        lock = builds.locks(session, first)["linux-64"]
        query = select(BuildArtifact.artifact_type).where(BuildArtifact.build_id == first)
        assert list(session.execute(query).scalars()) == ["YAML"]
    assert "__cuda=12.4=0" in lock.virtual_packages
    assert lock.channels == (channel.as_uri(),)
    assert "gpu" in wait(database, elsewhere, "FAILED")
    said = wait(database, later, "FAILED")
    assert "assumed here for linux-64: __cuda (none)" in said
    assert 'set virtual_packages to {"linux-64": ["__cuda=12.4"]}' in said
    assert "PUT /api/v1/setting/NAMESPACE/" in said
    assert "CONDA_OVERRIDE_CUDA in the variables of the specification" in said


def test_a_missing_virtual_package_names_the_setting_and_the_variable(
    builder: Builder, make_channel: MakeChannel
) -> None:
    packages = [
        Package(name="gpu", version="1", build_pattern="0", depends=("__cuda >=12",), noarch="generic"),
        Package(name="modern", version="1", build_pattern="0", depends=("__glibc >=99",), noarch="generic"),
        Package(name="plain", version="1", build_pattern="0", noarch="generic"),
    ]
    channel = make_channel(packages).as_uri()
    kind, reason, message = builder.run({"channels": [channel], "dependencies": ["gpu"]}).failure
    assert (kind, reason) == ("input", "unsolvable")
    assert "__cuda (none)" in message
    assert "virtual_packages" in message
    assert "CONDA_OVERRIDE_CUDA" in message
    _, _, message = builder.run({"channels": [channel], "dependencies": ["modern"]}).failure
    assert "__glibc (__glibc=" in message
    assert "CONDA_OVERRIDE_GLIBC" in message
    _, reason, message = builder.run({"channels": [channel], "dependencies": ["plain 2"]}).failure
    assert "virtual_packages" not in message
    wanted = {"channels": [channel], "dependencies": ["gpu"]}
    solved = builder.run(wanted | {"variables": {"CONDA_OVERRIDE_CUDA": "12.1"}})
    assert "__cuda=12.1=0" in solved.locks["linux-64"].virtual_packages
    assert builder.run(wanted, virtual_packages={"linux-64": ("__cuda=13",)}).end["event"] == "linked"


def test_what_a_prefix_shares_is_what_is_linked(builder: Builder) -> None:
    said = builder.run({"name": "small", "dependencies": ["python", "tzdata"]})
    size = measure(said.prefix)
    files = [path for path in said.prefix.rglob("*") if path.is_file() and not path.is_symlink()]
    linked = {path.stat().st_ino: path.stat().st_size for path in files if path.stat().st_nlink > 1}
    assert said.end["size"] == size.total
    assert said.end["links"] == size.links
    assert sum(size.links.values()) == pytest.approx(sum(linked.values()), rel=0.001)
    assert all(key.startswith("package:") for key in size.links)
    assert 0 < size.own < size.total
    copied = builder.run({"name": "copied", "dependencies": ["python", "tzdata"]}, link_scripts=True)
    assert (copied.end["links"], copied.end["size"] > 0) == ({}, True)


def test_housekeeping_measures_what_namespaces_share(system: System, database: Database) -> None:
    system.start("builder")
    for namespace in ("team", "other"):
        wait(database, post(database, namespace, dependencies=["python"]), "COMPLETED")
    with database.transaction() as session:
        usage.measure(session)
        (other, team) = [usage.of_namespace(session, namespaces.load(session, name).id) for name in ("other", "team")]
    assert other.shared == team.shared > 10_000_000
    assert team.exclusive > 0


def test_less_than_the_storage_threshold_keeps_builds_queued_and_says_so(system: System, database: Database) -> None:
    put(database, storage_threshold=2**59)
    system.start("builder")
    build_id = post(database, "team")

    def said() -> str:
        with database.transaction() as session:
            return builds.load(session, build_id).status_info or ""

    wait_for(said, seconds=20)
    assert "less than 576,460,752,303,423,488 bytes free (setting storage_threshold)" in said()
    put(database, storage_threshold=None)
    wait(database, build_id, "COMPLETED")

"""A rule of a namespace sends its images to another registry: only what is missing there, with retries and a reason."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from condarium.database import credentials, namespaces, publication_pages, publications, publish_rules
from condarium.database.publication_pages import Listed
from condarium.database.tables import Outbox
from condarium.domain.credential import Kind
from condarium.domain.lock import Lock
from condarium.domain.publishing import Rule, check_rule
from condarium.domain.sealing import Vault
from services.packager.referrers import referrer_slots
from tests.fixtures.containers import Client
from tests.fixtures.docker_registry import PASSWORD, USER, DockerRegistry, docker_registry
from tests.fixtures.packager import ROOT, RunningPackager, running_packager
from tests.fixtures.packages import Put, lock_of, make_package
from tests.fixtures.patience import patient, wait_for
from tests.fixtures.served import Served

SECRET = "packager-test-secret"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path / "there") as made:
        yield made


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    return make_lock(tmp_path / "one", "hello")


def make_lock(directory: Path, name: str, size: int = 1000) -> Lock:
    directory.mkdir()
    put = Put(f"share/{name}", (name.encode() * size)[:size] if size < 1 << 20 else os.urandom(size))
    return lock_of([make_package(directory, name, [put])])


def add_rule(content: Served, rule: Rule, *, name: str = "there", namespace: str = "default") -> int:
    with content.database.transaction() as session:
        found = namespaces.ensure(session, namespace, actor="test")
        row = publish_rules.put(session, found, name, check_rule(rule), actor="test")
        publications.expect_current(session, row)
        return row.id


def listed(content: Served, namespace: str = "default") -> list[Listed]:
    with content.database.transaction() as session:
        return publication_pages.listed(session, namespaces.load(session, namespace))


def wait_until(content: Served, state: str, *, build_id: int, seconds: float = 60) -> Listed:
    def look() -> Listed | None:
        found = next((each for each in listed(content) if each.row.build_id == build_id), None)
        return found if found is not None and found.row.state == state else None

    return wait_for(look, seconds=seconds)


def events(content: Served, name: str) -> list[dict[str, object]]:
    with content.database.transaction() as session:
        rows = session.query(Outbox).filter(Outbox.routing_key == f"{name}.v1").order_by(Outbox.id)
        return [dict(row.data) for row in rows]


def test_an_image_is_pushed_when_it_is_ready_and_pulled_from_there(
    packager: RunningPackager, there: DockerRegistry, lock: Lock, skopeo: Client, tmp_path: Path
) -> None:
    rule = Rule(there.url, "team/{environment}", tags=("latest", "generation", "lock"), referrers=False)
    add_rule(packager.content, rule)
    # nobody asks for the image: the rule does
    build_id = packager.build("science", lock, eager=("LOCKFILE",))
    done = wait_until(packager.content, "READY", build_id=build_id)
    assert there.tags("team/science") == sorted(["g1", "latest", lock.hash])
    assert done.row.repository == "team/science"
    assert there.manifest("team/science", "g1").headers["docker-content-digest"] == f"sha256:{done.row.digest}"
    assert done.row.digest == packager.artifact(build_id, "DOCKER_MANIFEST").digest
    copied = tmp_path / "copied"
    skopeo.run("copy", "--src-tls-verify=false", f"docker://{there.host}/team/science:latest", f"dir:{copied}")
    assert (copied / "manifest.json").read_bytes() == there.manifest("team/science", "latest").content
    (event,) = events(packager.content, "image.published")
    assert (event["registry"], event["repository"], event["rule"]) == (there.url, "team/science", "there")
    assert event["digest"] == f"sha256:{done.row.digest}"


def test_only_environments_that_fit_are_published(packager: RunningPackager, there: DockerRegistry, lock: Lock) -> None:
    add_rule(packager.content, Rule(there.url, environments=("prod-*",), referrers=False))
    other = packager.build("try", lock, eager=("DOCKER_MANIFEST",))
    fits = packager.build("prod-a", lock, eager=("DOCKER_MANIFEST",))
    wait_until(packager.content, "READY", build_id=fits)
    packager.wait(other, "DOCKER_MANIFEST")
    assert [each.environment for each in listed(packager.content)] == ["prod-a"]
    assert there.tags("default/try") == []


def test_a_second_environment_sends_only_what_is_missing(
    packager: RunningPackager, there: DockerRegistry, lock: Lock, tmp_path: Path
) -> None:
    add_rule(packager.content, Rule(there.url, referrers=False))
    first = wait_until(packager.content, "READY", build_id=packager.build("one", lock, eager=("DOCKER_MANIFEST",)))
    sent = there.uploads()
    assert first.row.counts["sent"] == len(sent) == len(set(sent))
    same = wait_until(packager.content, "READY", build_id=packager.build("two", lock, eager=("DOCKER_MANIFEST",)))
    assert there.uploads() == sent, "the same image goes over by mounts alone"
    assert same.row.counts == {"sent": 0, "sent_bytes": 0, "mounted": len(sent), "present": 0, "manifests": 3}
    other = make_lock(tmp_path / "two", "other")
    third = wait_until(packager.content, "READY", build_id=packager.build("three", other, eager=("DOCKER_MANIFEST",)))
    assert third.row.counts["mounted"] >= 1, "the base is there already"
    assert third.row.counts["sent"] == len(there.uploads()) - len(sent)
    # the same repository again, with nothing new
    with packager.content.database.transaction() as session:
        publications.retry(session, namespaces.load(session, "default"), first.row.id)
    before = len(there.asked())
    again = wait_for(
        lambda: (
            row
            if (row := wait_until(packager.content, "READY", build_id=first.row.build_id)).row.ready_on
            != first.row.ready_on
            else None
        ),
        seconds=60,
    )
    assert again.row.counts["present"] == len(sent)
    assert again.row.counts["sent"] == again.row.counts["mounted"] == 0
    assert not [path for method, path, _ in there.asked()[before:] if method in ("POST", "PATCH")]


def put_login(content: Served, url: str, password: str) -> None:
    vault = Vault(SECRET, None)
    with content.database.transaction() as session:
        credentials.put(
            session,
            vault,
            namespace=namespaces.load(session, "default"),
            name="there",
            kind=Kind.REGISTRY_BASIC,
            url=url,
            values={"username": USER, "password": password},
            actor="test",
        )


def test_wrong_credentials_are_told_at_once_and_right_ones_work(
    packager: RunningPackager, lock: Lock, tmp_path: Path
) -> None:
    with docker_registry(tmp_path / "closed", with_login=True) as closed:
        content = packager.content
        add_rule(content, Rule(closed.url, referrers=False))
        build_id = packager.build("science", lock, eager=("DOCKER_MANIFEST",))
        none = wait_until(content, "FAILED", build_id=build_id)
        assert "401" in (none.row.reason or "")
        assert "no credential is kept" in (none.row.reason or "")
        put_login(content, closed.url, "not-the-password")
        _retry(content, none.row.id)
        wrong = wait_for(
            lambda: (
                found
                if "with the credential that is kept" in ((found := listed(content)[0]).row.reason or "")
                else None
            ),
            seconds=60,
        )
        assert wrong.row.state == "FAILED"
        assert "not-the-password" not in (wrong.row.reason or "")
        assert len(events(content, "publishing.failed")) == 2
        put_login(content, closed.url, PASSWORD)
        _retry(content, none.row.id)
        wait_until(content, "READY", build_id=build_id)
        assert closed.tags("default/science") == ["g1", "latest"]


def _retry(content: Served, publication_id: int) -> None:
    with content.database.transaction() as session:
        publications.retry(session, namespaces.load(session, "default"), publication_id)


def test_a_registry_that_is_away_is_tried_again(content: Served, lock: Lock, tmp_path: Path) -> None:
    with (
        docker_registry(tmp_path / "away", started=False) as away,
        running_packager(content, tmp_path / "cache", max_attempts=100, retry_cap_seconds=0.2) as packager,
    ):
        add_rule(content, Rule(away.url, referrers=False))
        build_id = packager.build("science", lock, eager=("DOCKER_MANIFEST",))
        said = wait_for(
            lambda: next((each.row.reason for each in listed(content) if each.row.reason), None), seconds=60
        )
        assert "does not answer" in said
        assert "tried again at" in said
        away.start()
        wait_until(content, "READY", build_id=build_id)
        assert away.tags("default/science") == ["g1", "latest"]


def test_attempts_end(content: Served, lock: Lock, tmp_path: Path) -> None:
    with (
        docker_registry(tmp_path / "away", started=False) as away,
        running_packager(content, tmp_path / "cache", max_attempts=2) as packager,
    ):
        add_rule(content, Rule(away.url, referrers=False))
        found = wait_until(content, "FAILED", build_id=packager.build("science", lock, eager=("DOCKER_MANIFEST",)))
        assert "given up after 2 attempts" in (found.row.reason or "")


def test_referrers_follow_and_are_listed_under_a_tag(
    packager: RunningPackager, there: DockerRegistry, lock: Lock
) -> None:
    """docker-registry 2.8 has no referrers API."""
    slots = referrer_slots(packager.work, packager.children)
    slots.start()
    try:
        add_rule(packager.content, Rule(there.url, tags=("latest",)))
        build_id = packager.build("science", lock, eager=("DOCKER_MANIFEST",))
        done = wait_until(packager.content, "READY", build_id=build_id)
    finally:
        slots.quit()
        slots.join()
    index = there.manifest("default/science", f"sha256-{done.row.digest}").json()
    kinds = {each["artifactType"] for each in index["manifests"]}
    assert "application/spdx+json" in kinds
    for each in index["manifests"]:
        manifest = there.manifest("default/science", each["digest"])
        assert manifest.status_code == 200
        assert manifest.json()["subject"]["digest"] == f"sha256:{done.row.digest}"


def test_a_push_that_dies_is_finished_by_another_packager(
    content: Served, there: DockerRegistry, tmp_path: Path
) -> None:
    """Killed in the middle of its blobs: what had arrived is not sent again."""
    lock = make_lock(tmp_path / "big", "big", size=8 << 20)
    with running_packager(content, tmp_path / "cache", packager_publish_slots=0) as packager:
        build_id = packager.build("science", lock, eager=("DOCKER_MANIFEST",))
        packager.wait(build_id, "DOCKER_MANIFEST")
    add_rule(content, Rule(there.url, referrers=False))
    process = _pushing_process(content, tmp_path)
    try:
        wait_for(there.uploads, seconds=60)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait(patient(10))
    before = there.uploads()
    assert listed(content)[0].row.state == "MAKING"
    with running_packager(content, tmp_path / "cache"):
        done = wait_until(content, "READY", build_id=build_id)
    assert done.row.attempt == 2
    uploads = there.uploads()
    assert uploads[: len(before)] == before
    assert len(set(uploads)) == len(uploads), "no blob went twice"
    assert done.row.counts["present"] >= len(before)
    assert there.tags("default/science") == ["g1", "latest"]


PUSH = """
import sys, time
from pathlib import Path
from condarium.conda.channels import ChannelSettings
from condarium.database import Database
from condarium.oci import push
from condarium.storage import open_storage
from services.packager.handlers import Work
from services.packager.publishing.slots import publishing_slots
from tests.fixtures.packager import packager_settings

database_url, storage_url, cache = sys.argv[1:]
sent = push.Target._send

def slowly(self, piece, source):
    sent(self, piece, source)
    time.sleep(2)  # so that the kill comes between two blobs

push.Target._send = slowly
settings = packager_settings(database_url, storage_url, Path(cache), lease_seconds=2.0, heartbeat_seconds=0.5)
work = Work(Database(database_url), open_storage(storage_url), settings, ChannelSettings(), owner="killed")
publishing_slots(work).start()
time.sleep(600)
"""


def _pushing_process(content: Served, tmp_path: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", PUSH, content.database.url, content.storage_url, str(tmp_path / "cache")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"},
        stdin=subprocess.DEVNULL,
    )

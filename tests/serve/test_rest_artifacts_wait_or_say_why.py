"""What is not made yet is 404 or waits; what failed says why at once and can be tried again; logs at any time."""

import hashlib
import threading
import time
from typing import Any

import pytest

from condarium.database import archives, artifacts, builds, logs
from condarium.domain.artifact import ArtifactType
from condarium.storage import blob_key
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.patience import patient, within
from tests.fixtures.served import make_lock


def message(reply: Any, status: int) -> str:
    assert reply.status_code == status, reply.text
    return str(reply.json()["message"])


def test_what_is_not_made_is_asked_for_by_the_download(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    assert "the build is QUEUED" in message(gateway.http.get(f"/api/v1/build/{build_id}/yaml/"), 404)
    gateway.solve(build_id, make_lock("zlib"))
    reply = gateway.http.get(f"/api/v1/build/{build_id}/lockfile/?format=explicit")
    assert "?wait=SECONDS" in message(reply, 404)
    listed = gateway.http.get(f"/api/v1/build/{build_id}/artifact/").json()["data"]
    assert [(item["artifact_type"], item["state"]) for item in listed] == [
        ("YAML", "REQUESTED"),
        ("EXPLICIT", "REQUESTED"),
    ]
    assert gateway.http.get("/api/v1/build/99/archive/").status_code == 404
    none = gateway.http.get("/api/v1/environment/default/first/lockfile/")
    assert "no completed build" in message(none, 404)


def test_a_waiting_download_gets_it_as_soon_as_it_is_there(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is the event that wakes them: they look by themselves after a minute.
    monkeypatch.setattr("services.api.artifacts.LOOK_SECONDS", 60.0)
    build_id = gateway.post()
    answers: list[Any] = []

    def wait() -> None:
        answers.append(gateway.http.get(f"/api/v1/build/{build_id}/yaml/?wait=300"))

    waiters = [threading.Thread(target=wait) for _ in range(20)]
    for waiter in waiters:
        waiter.start()
    time.sleep(0.3)
    # Twenty wait, on eight connections: others are served meanwhile.
    assert gateway.admin.get("/api/v1/build/").status_code == 200
    gateway.solve(build_id, make_lock("zlib"))
    gateway.make(build_id, ArtifactType.YAML, b"name: first\n")
    with within(1.5):
        gateway.publish()
        for waiter in waiters:
            waiter.join(patient(10))
    assert [reply.status_code for reply in answers] == [307] * 20


def test_waiting_is_bounded(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    with within(3) as watch:
        assert gateway.http.get(f"/api/v1/build/{build_id}/yaml/?wait=0.4").status_code == 404
    assert watch.seconds > 0.35
    for wrong in ("601", "-1", "nan", "inf", "x"):
        assert gateway.http.get(f"/api/v1/build/{build_id}/yaml/?wait={wrong}").status_code == 422


def test_a_failed_artifact_says_why_at_once_and_can_be_tried_again(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    gateway.solve(build_id, make_lock("zlib"))
    gateway.fail_artifact(build_id, ArtifactType.CONDA_PACK, "zlib-1.0-0.conda is no zip file")
    with within(2):
        said = message(gateway.http.get(f"/api/v1/build/{build_id}/archive/?wait=60"), 409)
    assert "zlib-1.0-0.conda is no zip file" in said
    assert f"POST /api/v1/build/{build_id}/artifact/CONDA_PACK/" in said
    again = gateway.admin.post(f"/api/v1/build/{build_id}/artifact/conda_pack/")
    assert again.json() == {"status": "ok", "message": f"CONDA_PACK of build {build_id}: REQUESTED"}
    assert gateway.http.get(f"/api/v1/build/{build_id}/archive/").status_code == 404
    listed = gateway.http.get(f"/api/v1/build/{build_id}/artifact/").json()["data"]
    assert [(item["state"], item["reason"]) for item in listed] == [("REQUESTED", None)]


def test_a_failed_build_says_the_solvers_words(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    gateway.solve(build_id, make_lock("zlib"))
    gateway.make(build_id, ArtifactType.LOCKFILE, b"{}")
    gateway.fail(build_id, "nothing provides zlib >=99")
    assert "nothing provides zlib >=99" in message(gateway.http.get(f"/api/v1/build/{build_id}/archive/?wait=30"), 409)
    assert gateway.http.get(f"/api/v1/build/{build_id}/lockfile/").status_code == 307
    canceled = gateway.post("second")
    gateway.admin.put(f"/api/v1/build/{canceled}/cancel/")
    assert "CANCELED" in message(gateway.http.get(f"/api/v1/build/{canceled}/archive/"), 409)


def test_a_log_is_there_at_any_time(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    empty = gateway.http.get(f"/api/v1/build/{build_id}/logs/")
    assert (empty.status_code, empty.text) == (200, "")
    with gateway.database.transaction() as session:
        for number, text in enumerate(["solving\n", "linking é\n"]):
            logs.append(session, build_id=build_id, attempt=1, number=number, text=text)
    running = gateway.http.get(f"/api/v1/build/{build_id}/logs/")
    assert running.text == "solving\nlinking é\n"
    assert running.headers["content-type"] == "text/plain; charset=utf-8"
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    gateway.make(build_id, ArtifactType.LOGS, "solving\nlinking é\n".encode())
    done = gateway.http.get(f"/api/v1/build/{build_id}/logs/")
    assert done.status_code == 307
    assert gateway.http.get(done.headers["location"]).text == "solving\nlinking é\n"


def later(work: Any) -> threading.Thread:
    """Does the work in a moment, while the test waits for its outcome."""

    def run() -> None:
        time.sleep(0.3)
        work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_name_of_an_image_may_be_waited_for(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    path = f"/api/v1/build/{build_id}/docker/"
    assert message(gateway.http.get(path), 400) == f"Build {build_id} doesn't have a docker manifest"
    assert gateway.http.get(f"/api/v1/build/{build_id}/artifact/").json()["data"] == [], "asked for without a wish"
    assert message(gateway.http.get(f"{path}?wait=0.2"), 400) == f"Build {build_id} doesn't have a docker manifest"
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)

    def make() -> None:
        gateway.make_image(build_id)
        gateway.publish()

    making = later(make)
    reply = gateway.http.get(f"{path}?wait=20")
    making.join()
    assert reply.status_code == 200, reply.text
    assert reply.text.startswith("registry.example:5000/default/first:")
    assert reply.headers["deprecation"] == "True"
    other = gateway.post("second")
    gateway.fail(other, "nothing provides nope")
    assert "nothing provides nope" in message(gateway.http.get(f"/api/v1/build/{other}/docker/?wait=5"), 409)
    assert gateway.http.get("/api/v1/build/999/docker/?wait=5").status_code == 404


def test_the_whole_log_may_be_waited_for(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    with gateway.database.transaction() as session:
        logs.append(session, build_id=build_id, attempt=1, number=0, text="begun\n")
    path = f"/api/v1/build/{build_id}/logs/"
    short = gateway.http.get(f"{path}?wait=0.3")
    assert (short.status_code, short.text) == (200, "begun\n")

    def make() -> None:
        gateway.fail(build_id, "unsolvable")
        gateway.make(build_id, ArtifactType.LOGS, b"begun\nfailed\n")
        gateway.publish()

    making = later(make)
    reply = gateway.http.get(f"{path}?wait=20", follow_redirects=True)
    making.join()
    assert (reply.status_code, reply.text) == (200, "begun\nfailed\n")


def test_the_lockfile_of_an_environment_has_all_formats(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    for kind in (ArtifactType.LOCKFILE, ArtifactType.EXPLICIT):
        gateway.make(build_id, kind, kind.encode())
    one = "/api/v1/environment/default/first"
    for path, expected in {
        "lockfile/": "LOCKFILE",
        "lockfile/?format=explicit": "EXPLICIT",
        "conda-lock.yml": "LOCKFILE",
        "conda-lock.yaml": "LOCKFILE",
    }.items():
        reply = gateway.http.get(f"{one}/{path}", follow_redirects=True)
        assert (reply.status_code, reply.text) == (200, expected), path
    assert "format='zip' is not known" in message(gateway.http.get(f"{one}/lockfile/?format=zip"), 400)


def test_an_installer_is_asked_for_by_its_download(gateway: RunningGateway) -> None:
    build_id = gateway.post()
    gateway.solve(build_id, make_lock("zlib"))
    said = message(gateway.http.get(f"/api/v1/build/{build_id}/installer/"), 404)
    assert said.startswith(f"build {build_id} has no CONSTRUCTOR_INSTALLER yet (it is REQUESTED)")
    parts = [b"#!/bin/sh\n", b"members"]
    listed = [(hashlib.sha256(part).hexdigest(), len(part)) for part in parts]
    for part, (digest, _) in zip(parts, listed, strict=True):
        gateway.storage.put(blob_key(digest), part)
    held = gateway.claim(build_id, ArtifactType.CONSTRUCTOR_INSTALLER)
    with gateway.database.transaction() as session:
        lock_hash = builds.lock_hashes(session, build_id)["linux-64"]
        archives.store(session, lock_hash, "sh", format="1", parts=listed)
        artifacts.ready(session, held, builds.load(session, build_id), digest=lock_hash, size=17)
    reply = gateway.http.get(f"/api/v1/build/{build_id}/installer/", follow_redirects=True)
    assert (reply.status_code, reply.content) == (200, b"#!/bin/sh\nmembers")
    assert reply.headers["content-type"] == "application/x-sh"
    assert reply.headers["content-disposition"] == 'attachment; filename="first-1.sh"'
    assert gateway.http.get("/api/v1/build/999/installer/").status_code == 404

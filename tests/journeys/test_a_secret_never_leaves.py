"""Credentials in settings are in no reply, row, event, log or artifact."""

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.postgres import binaries
from tests.fixtures.system import System, running_system

SECRET = "s3cr3t-of-the-journey"
#: handed in over REST; a token in a path shows up in every address that an error tells
KEPT = "k3pt-for-the-team"
TOKEN_IN_PATH = "t0k3n-in-the-path"
WHEELS = "wh33ls-of-the-team"


@pytest.fixture
def secretive(database_url: str, amqp_url: str, sample_channel: Path, base_image_directory: Path) -> Iterator[System]:
    with running_system(
        database_url=database_url,
        amqp_url=amqp_url,
        channel=sample_channel,
        CONDARIUM_BASE_IMAGE=str(base_image_directory),
        CONDARIUM_MAX_ATTEMPTS="1",
        CONDARIUM_PIP_INDEX_URL="http://127.0.0.1:9/simple",
        CONDARIUM_CHANNEL_CREDENTIALS=json.dumps(
            {
                "http://127.0.0.1:9/private": {"username": "me", "password": SECRET},
                "https://conda.anaconda.org/conda-forge": {"token": SECRET},
            }
        ),
        CONDARIUM_ADMIN_TOKEN="test-admin-token",
    ) as system:
        yield system


STORED = {
    "team/basic": {"kind": "basic", "url": "http://127.0.0.1:9/basic", "username": "me", "password": KEPT},
    "team/path": {"kind": "conda_token", "url": "http://127.0.0.1:9/path", "token": TOKEN_IN_PATH},
    "team/wheels": {"kind": "index_basic", "url": "http://127.0.0.1:9", "username": "me", "password": WHEELS},
    "everybody": {"kind": "bearer", "url": "http://127.0.0.1:9", "token": KEPT},
    "base": {"kind": "registry_token", "url": "http://127.0.0.1:9", "token": KEPT},
}


def test_a_stored_secret_never_leaves(secretive: System, database_url: str) -> None:
    api = secretive.api
    assert api.post("/api/v1/namespace/team/").status_code == 200
    replies = [api.put(f"/api/v1/credential/{path}/", json=body) for path, body in STORED.items()]
    assert {reply.status_code for reply in replies} == {200}
    wrong = STORED["team/basic"] | {"kind": "conda_token"}
    replies += [api.put("/api/v1/credential/team/x/", json=wrong), api.put("/api/v1/credential/", json=wrong)]
    replies += [api.put("/api/v1/credential/team/x/", content=json.dumps([wrong]))]
    builds = []
    for name in ("basic", "path"):
        text = f"name: {name}\nchannels: ['http://127.0.0.1:9/{name}']\ndependencies: [python]\n"
        builds.append(secretive.submit(text, "team"))
    text = "name: wheels\nchannels: [conda-forge]\ndependencies: [python, {pip: [leaf]}]\n"
    builds.append(secretive.submit(text, "team"))
    good = secretive.submit("name: good\nchannels: [conda-forge]\ndependencies: [click]\n", "team")
    for build in builds:
        assert secretive.wait_build(build, status="FAILED")["status_info"]
        replies += [api.get(f"/api/v1/build/{build}/{part}", follow_redirects=True) for part in ("", "logs/")]
    secretive.wait_build(good)
    secretive.wait_artifact(good, "CONDA_PACK")
    for path in ("credential/", "credential/team/", "audit/", "audit/?format=jsonl", f"build/{good}/logs/", "setting/"):
        replies.append(api.get(f"/api/v1/{path}", follow_redirects=True))
    assert any("127.0.0.1:9" in reply.text for reply in replies)
    check_everywhere(secretive, database_url, [reply.text for reply in replies])


def test_a_secret_of_the_settings_never_leaves(secretive: System, database_url: str) -> None:
    good = secretive.submit("name: good\nchannels: [conda-forge]\ndependencies: [python, click]\n")
    bad = secretive.submit("name: bad\nchannels: ['http://127.0.0.1:9/private']\ndependencies: [python]\n")
    text = f"name: x\nchannels: ['https://me:{SECRET}@example.org/c']\ndependencies: [python]\n"
    refused = secretive.api.post("/api/v1/specification/", json={"specification": text})
    assert refused.status_code == 400
    assert "CONDARIUM_CHANNEL_CREDENTIALS" in refused.json()["message"]
    secretive.wait_build(good)
    failed = secretive.wait_build(bad, status="FAILED")
    secretive.wait_artifact(good, "DOCKER_MANIFEST")
    replies = [refused.text, json.dumps(failed)]
    for path in ("build/", f"build/{bad}/", f"build/{good}/lockfile/", f"build/{good}/yaml/", f"build/{bad}/logs/"):
        replies.append(secretive.api.get(f"/api/v1/{path}", follow_redirects=True).text)
    check_everywhere(secretive, database_url, replies)


def check_everywhere(system: System, database_url: str, replies: list[str]) -> None:
    """Replies, rows and events, and every file of the system: logs, caches, prefixes, artifacts."""
    dump = subprocess.run(
        [binaries() / "bin" / "pg_dump", "--data-only", "--inserts", database_url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "condarium" in dump
    for secret in (SECRET, KEPT, TOKEN_IN_PATH, WHEELS):
        for form in (secret, base64.b64encode(f"me:{secret}".encode()).decode()):
            assert [reply for reply in replies if form in reply] == []
            assert form not in dump
            found = subprocess.run(
                ["grep", "-rlF", form, system.directory], capture_output=True, text=True, check=False
            )
            assert found.stdout == ""

"""Credentials in settings are in no reply, row, event, log or artifact."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.postgres import binaries
from tests.fixtures.system import System, running_system, wait_for

SECRET = "s3cr3t-of-the-journey"


@pytest.fixture
def secretive(database_url: str, amqp_url: str, sample_channel: Path, base_image_directory: Path) -> Iterator[System]:
    with running_system(
        database_url=database_url,
        amqp_url=amqp_url,
        channel=sample_channel,
        CONDARIUM_BASE_IMAGE=str(base_image_directory),
        CONDARIUM_MAX_ATTEMPTS="1",
        CONDARIUM_CHANNEL_CREDENTIALS=json.dumps(
            {
                "http://127.0.0.1:9/private": {"username": "me", "password": SECRET},
                "https://conda.anaconda.org/conda-forge": {"token": SECRET},
            }
        ),
        CONDARIUM_ADMIN_TOKEN="test-admin-token",
    ) as system:
        yield system


def test_a_secret_never_leaves(secretive: System, database_url: str) -> None:
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
    assert [reply for reply in replies if SECRET in reply] == []
    dump = subprocess.run(
        [binaries() / "bin" / "pg_dump", "--data-only", "--inserts", database_url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "condarium" in dump
    assert SECRET not in dump
    wait_for(lambda: True, seconds=1)
    found = subprocess.run(["grep", "-rlF", SECRET, secretive.directory], capture_output=True, text=True, check=False)
    assert found.stdout == ""

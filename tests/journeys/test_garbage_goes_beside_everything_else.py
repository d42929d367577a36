"""Sweeps without a pause while fifty environments are built, pulled and downloaded: nothing that is needed goes."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.patience import CLIENT_SECONDS, wait_for
from tests.fixtures.system import System, running_system

ENVIRONMENTS = 25
#: each environment is built twice: the second build makes garbage of the first
ROUNDS = 2
#: small ones, so that it is the sweep that the time goes to
PACKAGES = ("libzlib", "bzip2", "libffi", "readline", "liblzma", "libuuid")
#: no grace, no generations but the current, no cache: what is not needed now goes now
GREEDY = {
    "garbage_grace_seconds": 0,
    "garbage_interval_seconds": 0,
    "keep_generations": 0,
    "keep_caches_days": 0,
}


@pytest.fixture
def greedy(database_url: str, amqp_url: str, sample_channel: Path, base_image_directory: Path) -> Iterator[System]:
    """A system that sweeps ten times a second."""
    with running_system(
        database_url=database_url,
        amqp_url=amqp_url,
        channel=sample_channel,
        services=("api", "builder", "packager", "registry"),
        CONDARIUM_BASE_IMAGE=str(base_image_directory),
        CONDARIUM_SETTINGS=json.dumps(GREEDY),
        CONDARIUM_POLL_SECONDS="0.1",
        CONDARIUM_RETRY_BASE_SECONDS="0.2",
    ) as system:
        yield system


def specification(number: int, turn: int) -> str:
    packages = {PACKAGES[number % len(PACKAGES)], PACKAGES[(number + turn + 1) % len(PACKAGES)]}
    listed = ", ".join(sorted(packages))
    return f"name: e{number}\nchannels: [conda-forge]\ndependencies: [{listed}]\nvariables: {{N: '{number}-{turn}'}}\n"


def pull(system: System, name: str) -> list[str]:
    """The image as a client pulls it: manifest, config, every layer, each held against its digest; the digests."""
    with httpx.Client(
        base_url=f"http://{system.registry}/v2/{name}", follow_redirects=True, timeout=CLIENT_SECONDS
    ) as client:
        reply = patiently(lambda: client.get("/manifests/latest"))
        assert reply.status_code == 200, reply.text
        manifest = reply.json()
        digests = [each["digest"] for each in (manifest["config"], *manifest["layers"])]
        for digest in digests:
            blob = patiently(lambda digest=digest: client.get(f"/blobs/{digest}"))
            assert blob.status_code == 200, f"{name} {digest}: {blob.status_code} {blob.text[:300]}"
            assert f"sha256:{hashlib.sha256(blob.content).hexdigest()}" == digest
        return digests


def patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """503 and 429 are no failures: it is being made, or there are many who ask."""
    replies: list[httpx.Response] = []

    def answered() -> bool:
        replies.append(ask())
        return replies[-1].status_code not in (429, 503)

    wait_for(answered, seconds=60, what=lambda: f"an answer: {replies[-1]} {replies[-1].text}", every=0.3)
    return replies[-1]


def download(system: System, build_id: int) -> bytes:
    """The tarball, which unpacks."""
    path = f"/api/v1/build/{build_id}/archive/"
    with httpx.Client(base_url=system.url, headers=dict(system.api.headers), timeout=CLIENT_SECONDS) as client:
        reply = patiently(lambda: client.get(path, params={"wait": "60"}, follow_redirects=True))
    assert reply.status_code == 200, reply.text
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(reply.content))) as tar:
        assert "conda-meta/history" in tar.getnames()
    return reply.content


def ask(system: System, path: str, body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The reports of both parts of a sweep or verification, once it has ended well."""
    number = system.api.post(path, json=body).json()["data"]["id"]

    def ended() -> dict[str, Any] | None:
        found = system.api.get(f"/api/v1/gc/{number}/").json()["data"]
        return found if found["ended"] else None

    parts = wait_for(ended, seconds=60)["parts"]
    assert [part["state"] for part in parts] == ["DONE", "DONE"], parts
    return {part["part"]: part["report"] for part in parts}


def test_nothing_that_is_needed_goes(greedy: System) -> None:
    system = greedy
    failures: list[str] = []
    built: dict[int, list[int]] = {number: [] for number in range(ENVIRONMENTS)}

    def use(number: int) -> None:
        for turn in range(ROUNDS):
            try:
                build_id = system.submit(specification(number, turn))
                built[number].append(build_id)
                system.wait_build(build_id, seconds=120)
                pull(system, f"e{number}")
                download(system, build_id)
            except BaseException as error:
                failures.append(f"e{number} round {turn}: {type(error).__name__}: {error}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(ENVIRONMENTS)))
    assert failures == []

    # Everything that is current is whole, on disk, in storage, and as it is served.
    for number in range(ENVIRONMENTS):
        prefix = system.link(f"e{number}").resolve(strict=True)
        said = json.loads((prefix / "conda-meta" / "state").read_text())["env_vars"]
        assert said == {"N": f"{number}-{ROUNDS - 1}"}
    verified = ask(system, "/api/v1/store/verify/", {})
    assert verified["store"]["bad"] == []
    assert verified["store"]["checked"] >= ENVIRONMENTS
    assert verified["storage"]["bad"] == []
    pull(system, "e0")

    # What is damaged is seen and mended, with all that shares its inodes.
    damaged = next(path for path in (system.link("e0").resolve() / "lib").iterdir() if path.stat().st_nlink > 2)
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged")
    repaired = ask(system, "/api/v1/store/verify/", {"repair": True})["store"]
    assert repaired["bad_count"] >= 1
    assert repaired["repaired"] == repaired["bad_count"], repaired
    assert ask(system, "/api/v1/store/verify/", {})["store"]["bad"] == []
    assert damaged.read_bytes() != b"damaged"

    # What is not, is gone.
    first, last = built[0][0], built[0][-1]
    wait_for(
        lambda: sorted(prefixes(system)) == sorted(current(system)), seconds=20, what=lambda: f"{prefixes(system)}"
    )
    report = wait_for(lambda: clean(system), seconds=30)
    assert report["kept"]["current"] == ENVIRONMENTS
    system.api.get(f"/api/v1/build/{last}/").raise_for_status()

    # And it comes back, of the same bytes.
    tarball = download(system, first)
    assert system.api.put("/api/v1/environment/default/e0/", json={"build_id": first}).status_code == 200
    wanted = system.build(first)["condarium"]["locks"]["linux-64"][:12]
    wait_for(lambda: system.link("e0").resolve().name.startswith(wanted), seconds=30)
    assert json.loads((system.link("e0") / "conda-meta" / "state").read_text())["env_vars"] == {"N": "0-0"}
    assert download(system, first) == tarball
    assert pull(system, "e0") == pull(system, "e0")


def prefixes(system: System) -> list[str]:
    return [path.name for path in (system.store / "default").glob("*-e*")]


def current(system: System) -> list[str]:
    return [path.resolve().name for path in (system.store / "default" / "envs").iterdir()]


def clean(system: System) -> dict[str, Any] | None:
    """The report of a rehearsal that has found nothing to delete in storage."""
    report = ask(system, "/api/v1/gc/", {"dry_run": True})["storage"]
    return report if "blobs" not in report["freed"] and "blob" not in report["waiting"] else None

"""`docker pull registry/dynamic/python/numpy`: nobody wrote that environment down, and it runs."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fixtures.containers import Client
from tests.fixtures.patience import CLIENT_SECONDS, patient, wait_for, within
from tests.fixtures.system import TOKEN, Service, System, free_port

PULLS = 100
NUMPY = "import numpy; print(numpy.__version__, int(numpy.arange(10).sum()))"


@contextmanager
def another_registry(system: System, **more: str) -> Iterator[tuple[str, Service]]:
    """A second copy; its address."""
    port = free_port()
    service = system.launch("registry", CONDARIUM_REGISTRY_PORT=str(port), **more)
    address = f"127.0.0.1:{port}"

    def up() -> bool:
        try:
            return httpx.get(f"http://{address}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_for(up, seconds=60, what=lambda: service.log.read_text()[-2000:])
        yield address, service
    finally:
        system.stop(service)


def builds(system: System, name: str) -> list[dict[str, object]]:
    """Of the one environment whose description tells that name."""
    found = system.api.get("/api/v1/environment/", params={"namespace": "dynamic", "size": 100}).json()["data"]
    environments = [each for each in found if each["description"] == f"pulled as {name}"]
    assert len(environments) <= 1
    if not environments:
        return []
    query = {"namespace": "dynamic", "name": environments[0]["name"], "size": 100}
    return list(system.api.get("/api/v1/build/", params=query).json()["data"])


@pytest.fixture
def logged_in(system: System, docker: Client) -> Client:
    docker.run("login", "-u", "me", "--password-stdin", system.registry, stdin=TOKEN)
    return docker


def test_docker_pulls_packages_and_runs_them(system: System, logged_in: Client) -> None:
    docker = logged_in
    image = f"{system.registry}/dynamic/python.eq.3.11/numpy.ge.2"
    docker.run("pull", f"{image}:latest")
    old = f"{image}:2025-12-24"
    turned = f"{system.registry}/dynamic/numpy.ge.2/python.eq.3.11:latest"
    docker.run("pull", old)
    try:
        # the channel's newest numpy is younger than that day
        assert docker.run("run", "--rm", "--network", "none", image, "python", "-c", NUMPY) == "2.4.6 45\n"
        assert docker.run("run", "--rm", "--network", "none", old, "python", "-c", NUMPY) == "2.3.5 45\n"
        docker.run("pull", turned)
        assert docker.run("images", "-q", turned) == docker.run("images", "-q", f"{image}:latest")
        tags = httpx.get(
            f"http://{system.registry}/v2/dynamic/numpy.ge.2/python.eq.3.11/tags/list",
            headers={"Authorization": f"Bearer {TOKEN}"},
        ).json()["tags"]
        assert {"2025-12-24", "latest"} < set(tags)
        lock = next(tag for tag in tags if len(tag) == 64)
        docker.run("pull", f"{image}:{lock}")
        found = builds(system, "dynamic/python.eq.3.11/numpy.ge.2")
        assert [build["status"] for build in found] == ["COMPLETED", "COMPLETED"]
    finally:
        for name in (image, turned):
            for tag in docker.run("images", "--format", "{{.Repository}}:{{.Tag}}", name).split():
                docker.run("rmi", "-f", tag)


def test_what_cannot_be_solved_says_why_in_docker(system: System, logged_in: Client) -> None:
    refused = logged_in.attempt("pull", f"{system.registry}/dynamic/python.eq.3.11/numpy.ge.99")
    assert refused.returncode != 0
    assert "manifest unknown" in refused.stderr
    assert "No candidates were found for numpy >=99" in refused.stderr
    (build,) = builds(system, "dynamic/python.eq.3.11/numpy.ge.99")
    assert build["status"] == "FAILED"
    wrong = logged_in.attempt("pull", f"{system.registry}/dynamic/python/numpy.ge")
    assert "'numpy.ge' is no package: a version is missing behind its last bound" in wrong.stderr
    future = logged_in.attempt("pull", f"{system.registry}/dynamic/numpy:2999-01-01")
    assert "a day in the future" in future.stderr


def test_docker_without_login_starts_nothing_and_is_told_so(system: System, docker: Client) -> None:
    refused = docker.attempt("pull", f"{system.registry}/dynamic/python/toolz")
    assert refused.returncode != 0
    assert "log in with a token" in refused.stderr
    assert builds(system, "dynamic/python/toolz") == []


async def _pull_at_once(addresses: list[str], name: str, meanwhile: asyncio.Event) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=CLIENT_SECONDS) as client:
        for address in addresses:
            # a credential that a registry does not know yet is counted as a guess until it is recognised
            assert (await client.get(f"http://{address}/v2/")).status_code == 200
        pulls = [
            asyncio.create_task(client.get(f"http://{addresses[turn % len(addresses)]}/v2/{name}/manifests/latest"))
            for turn in range(PULLS)
        ]
        await asyncio.sleep(2)
        assert {pull.result().text for pull in pulls if pull.done()} == set(), "they wait"
        for address in addresses:
            # others are answered meanwhile: the pulls wait for a builder that stands still
            with within(2):
                assert (await client.get(f"http://{address}/v2/")).status_code == 200
        meanwhile.set()
        return await asyncio.gather(*pulls)


def _threads(service: Service) -> int:
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Threads:")).split()[1])


def test_a_hundred_pulls_at_once_make_one_build(system: System) -> None:
    name = "dynamic/python/attrs/click"
    builder = system.one("builder").process

    async def run(addresses: list[str], services: list[Service]) -> list[httpx.Response]:
        waiting = asyncio.Event()
        pulling = asyncio.create_task(_pull_at_once(addresses, name, waiting))
        done, _ = await asyncio.wait(
            {pulling, asyncio.create_task(waiting.wait())}, return_when=asyncio.FIRST_COMPLETED, timeout=patient(60)
        )
        assert pulling not in done, pulling.exception()
        assert all(_threads(service) < 40 for service in services), "a pull that waits holds no thread"
        builder.send_signal(signal.SIGCONT)
        return await pulling

    with another_registry(system) as (second, one), another_registry(system) as (third, two):
        builder.send_signal(signal.SIGSTOP)
        try:
            replies = asyncio.run(run([system.registry, second, third], [one, two]))
        finally:
            builder.send_signal(signal.SIGCONT)
    refused = [reply.text for reply in replies if reply.status_code != 200]
    assert refused == []
    assert len({reply.headers["docker-content-digest"] for reply in replies}) == 1
    assert len(builds(system, name)) == 1


def test_clients_that_wait_too_long_are_told_to_come_again(
    system: System, logged_in: Client, skopeo: Client, tmp_path: Path
) -> None:
    name = "dynamic/python/xmltodict"
    builder = system.one("builder").process
    with another_registry(system, CONDARIUM_REGISTRY_WAIT_SECONDS="0.5") as (address, _):
        source, target = f"docker://{address}/{name}:latest", f"dir:{tmp_path}/xmltodict"
        builder.send_signal(signal.SIGSTOP)
        try:
            reply = httpx.get(
                f"http://{address}/v2/{name}/manifests/latest", headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert reply.status_code == 503
            assert int(reply.headers["retry-after"]) >= 1
            logged_in.run("login", "-u", "me", "--password-stdin", address, stdin=TOKEN)
            refused = logged_in.attempt("pull", f"{address}/{name}")
            assert refused.returncode != 0
            assert "503" in refused.stderr
            skopeo.run("login", "--tls-verify=false", "-u", "me", "--password-stdin", address, stdin=TOKEN)
            again = skopeo.attempt("copy", "--src-tls-verify=false", source, target)
            assert again.returncode != 0
            assert "503" in again.stderr
        finally:
            builder.send_signal(signal.SIGCONT)
        wait_for(lambda: builds(system, name)[0]["status"] == "COMPLETED", seconds=60)
        wait_for(lambda: skopeo.attempt("copy", "--src-tls-verify=false", source, target).returncode == 0, seconds=60)
    assert len(builds(system, name)) == 1

"""docker-compose brings the five services up beside Postgres, RabbitMQ and SeaweedFS; what it builds is pulled and run.

The tests of this file follow one system through its life, in their order.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import kombu
import pytest
from amqp.exceptions import AccessRefused

from condarium.events import EXCHANGE
from tests.fixtures.compose import Compose
from tests.fixtures.patience import patient, wait_for

pytestmark = pytest.mark.client("docker")
COPIES = {"api": 1, "builder": 3, "packager": 1, "registry": 1, "watcher": 1, "postgres": 1, "rabbitmq": 1, "s3": 1}
OURS = ("api", "builder", "packager", "registry", "watcher")
ENDED = ("COMPLETED", "FAILED", "CANCELED")


@pytest.fixture(scope="module")
def running(compose_project: Compose) -> Compose:
    """Everything up, three builders; the commands are those of deploy/README.md."""
    compose_project.compose.run("build", "api")
    compose_project.up("--scale", "builder=3")
    compose_project.wait_healthy(**COPIES)
    return compose_project


@pytest.fixture
def api(running: Compose) -> Iterator[httpx.Client]:
    with running.api as client:
        yield client


def submit(api: httpx.Client, name: str, *dependencies: str) -> int:
    specification = {"name": name, "channels": ["conda-forge"], "dependencies": list(dependencies)}
    reply = api.post("/api/v1/specification/", json={"specification": json.dumps(specification)})
    assert reply.status_code == 200, reply.text
    return int(reply.json()["data"]["build_id"])


def build(api: httpx.Client, number: int) -> dict[str, Any]:
    return dict(api.get(f"/api/v1/build/{number}/").json()["data"])


def wait_built(running: Compose, api: httpx.Client, number: int) -> dict[str, Any]:
    """The build once it has ended, which must be well."""
    wait_for(lambda: build(api, number)["status"] in ENDED, seconds=120, what=lambda: f"{build(api, number)}")
    found = build(api, number)
    assert found["status"] == "COMPLETED", f"{found}\n{running.logs()}"
    return found


def test_services_run_without_rights_on_a_schema_that_was_made_first(running: Compose) -> None:
    (migrate,) = running.containers("migrate")
    assert migrate["State"]["Status"] == "exited"
    assert migrate["State"]["ExitCode"] == 0
    for service in OURS:
        for container in running.containers(service):
            assert container["State"]["StartedAt"] > migrate["State"]["FinishedAt"]
            assert container["RestartCount"] == 0, running.logs()
            assert container["Config"]["User"] == "10001:10001"
    status = running.compose.run("exec", "-T", "builder", "cat", "/proc/self/status")
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_the_image_holds_the_program_and_no_setting(running: Compose) -> None:
    found = running.compose.run("exec", "-T", "api", "find", "/opt/condarium", "-maxdepth", "2", "-type", "d")
    names = {line.removeprefix("/opt/condarium/") for line in found.split()[1:]}
    assert names >= {"services/api", "shared/condarium", "deploy/base_image", "base-image/blobs", "ui"}
    assert {name.split("/")[0] for name in names} == {"services", "shared", "deploy", "base-image", "ui"}
    assert running.compose.run("exec", "-T", "api", "ls", "-A", "/").find(".env") == -1
    (image,) = json.loads(running.docker.run("inspect", "condarium:latest"))
    text = json.dumps(image) + running.docker.run("history", "--no-trunc", "condarium:latest")
    secrets = [value for value in running.settings.values() if len(value) == 48]
    assert len(secrets) == 6
    assert not any(secret in text for secret in secrets)
    running.compose.run("exec", "-T", "api", "condarium", "check-config")


def test_the_web_ui_is_in_the_image(api: httpx.Client) -> None:
    page = api.get("/conda-store/ui/")
    assert page.status_code == 200, page.text
    script = page.text.partition('src="')[2].partition('"')[0]
    assert len(api.get(script).content) > 1_000_000


def test_an_image_is_pulled_from_outside_by_the_external_names(running: Compose, api: httpx.Client) -> None:
    built = wait_built(running, api, submit(api, "small", "python", "click"))
    registry = running.settings["CONDARIUM_REGISTRY_EXTERNAL"]
    image = f"{registry}/small:latest"
    running.docker.run("pull", image)
    try:
        program = "import click, sys; print(click.__name__, sys.prefix)"
        said = running.docker.run("run", "--rm", "--network", "none", image, "python", "-c", program)
        assert said.split() == ["click", "/opt/env"]
    finally:
        running.docker.run("rmi", "-f", image)

    accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    layer = httpx.get(f"http://{registry}/v2/small/manifests/latest", headers=accepted).json()["layers"][-1]
    blob = httpx.get(f"http://{registry}/v2/small/blobs/{layer['digest']}")
    assert blob.status_code == 307
    assert blob.headers["Location"].startswith(running.settings["CONDARIUM_S3_EXTERNAL_URL"] + "/condarium/")
    assert len(httpx.get(blob.headers["Location"]).content) == layer["size"]
    unsigned = httpx.get(blob.headers["Location"].partition("?")[0])
    assert unsigned.status_code == 403

    # one store for all builders: each of them sees the prefix that one of them made
    python = built["condarium"]["prefix"] + "/bin/python"
    for index in ("1", "2", "3"):
        seen = running.compose.run("exec", "-T", "--index", index, "builder", python, "-c", "import click; print(1)")
        assert seen == "1\n"


def test_a_tarball_is_downloaded_from_outside(running: Compose, api: httpx.Client) -> None:
    number = submit(api, "archived", "python", "click")
    wait_built(running, api, number)
    address = f"/api/v1/build/{number}/archive/?wait=60"
    reply = api.get(address, follow_redirects=True)
    assert reply.status_code == 200, reply.text
    assert "//s3:" not in "".join(step.headers["Location"] for step in reply.history)
    assert reply.content[:2] == b"\x1f\x8b"


def test_a_file_in_the_watched_directory_becomes_an_environment(running: Compose, api: httpx.Client) -> None:
    watched = running.directory / "environments"
    watched.mkdir(exist_ok=True)
    (watched / "environment.yml").write_text("name: watched\nchannels: [conda-forge]\ndependencies: [python, rich]\n")
    found = wait_for(
        lambda: next((e for e in api.get("/api/v1/environment/").json()["data"] if e["name"] == "watched"), None),
        seconds=30,
        what=lambda: f"the watcher\n{running.logs()}",
    )
    wait_for(
        lambda: api.get(f"/api/v1/environment/default/{found['name']}/").json()["data"]["current_build_id"], seconds=60
    )


def test_the_subscriber_account_reads_events_and_may_not_publish(running: Compose, api: httpx.Client) -> None:
    password = running.settings["CONDARIUM_SUBSCRIBER_PASSWORD"]
    port = running.settings["CONDARIUM_PUBLISH_AMQP_PORT"]
    url = f"amqp://subscriber:{password}@127.0.0.1:{port}/condarium"
    exchange = kombu.Exchange(EXCHANGE, type="topic", durable=True, no_declare=True)
    queue = kombu.Queue("condarium-sub.test", exchange, "build.queued.v1", exclusive=True)
    with kombu.Connection(url) as connection:
        taken: list[str] = []

        def take(body: Any, message: Any) -> None:
            taken.append(message.delivery_info["routing_key"])
            message.ack()

        with kombu.Consumer(connection, queue, callbacks=[take]):
            submit(api, "announced", "tzdata")
            connection.drain_events(timeout=patient(30))
        assert taken == ["build.queued.v1"]
        with pytest.raises(AccessRefused), connection.channel() as channel:
            kombu.Producer(channel, exchange).publish({}, routing_key="build.queued.v1")
            connection.drain_events(timeout=patient(5))


def test_a_stop_drains_and_nothing_is_lost(running: Compose, api: httpx.Client) -> None:
    numbers = [submit(api, f"drained-{n}", "python", "numpy", "pandas", "rich", f"click =8.{n}|>=7") for n in range(9)]

    def being_built() -> list[int]:
        return [number for number in numbers if build(api, number)["status"] == "BUILDING"]

    begun = wait_for(being_built, seconds=30, every=0.01)
    running.compose.run("stop", "builder")
    # 137 would say that compose had to kill them, after the grace of a minute
    assert [one["State"]["ExitCode"] for one in running.containers("builder")] == [0, 0, 0], running.logs()
    states = {number: build(api, number)["status"] for number in numbers}
    assert set(states.values()) <= {"COMPLETED", "QUEUED"}
    assert {states[number] for number in begun} == {"COMPLETED"}, "what was being built was let finish"

    running.compose.run("start", "builder")
    for number in numbers:
        wait_built(running, api, number)


def test_services_end_well_on_sigterm_and_a_start_finds_everything_again(running: Compose) -> None:
    # who is told to end while its interpreter starts ends at once, by the signal: there is nothing to give back
    running.wait_healthy(**COPIES)
    running.compose.run("stop")
    ended = {name: [one["State"]["ExitCode"] for one in running.containers(name)] for name in COPIES}
    assert ended == {name: [0] * count for name, count in COPIES.items()}, f"{ended}\n{running.logs()}"

    running.up("--scale", "builder=3")
    running.wait_healthy(**COPIES)
    with running.api as api:
        assert "small" in {environment["name"] for environment in api.get("/api/v1/environment/").json()["data"]}
    image = f"{running.settings['CONDARIUM_REGISTRY_EXTERNAL']}/small:latest"
    running.docker.run("pull", image)
    running.docker.run("rmi", "-f", image)

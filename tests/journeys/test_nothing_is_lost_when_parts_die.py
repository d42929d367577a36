"""The broker and the database are killed while builds run: every build completes, once, by itself."""

import time

from deploy.local.postgres import PrivatePostgres
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.system import System

SPECIFICATION = "name: many{}\nchannels: [conda-forge]\ndependencies: [python, click, rich, requests]\n"


def test_builds_survive_the_death_of_broker_and_database(
    fragile: System, postgres_server: PrivatePostgres, rabbit_server: PrivateRabbit
) -> None:
    wanted = [fragile.submit(SPECIFICATION.format(number)) for number in range(6)]
    rabbit_server.kill()
    wanted += [fragile.submit(SPECIFICATION.format(number)) for number in range(6, 9)]
    time.sleep(0.5)
    postgres_server.kill()
    time.sleep(1.0)
    away = fragile.api.get("/api/v1/environment/")
    assert away.status_code == 503, away.text
    assert "database" in away.json()["message"]
    postgres_server.start()
    rabbit_server.start()
    for build_id in wanted:
        fragile.wait_build(build_id, seconds=90)
    for build_id in wanted:
        fragile.wait_artifact(build_id, "DOCKER_MANIFEST", seconds=90)
    events = _events(fragile)
    completed = [event for event in events if event.startswith("build.completed.v1 ")]
    assert sorted(completed) == sorted(f"build.completed.v1 {build_id}" for build_id in wanted)


def _events(system: System) -> list[str]:
    """`routing key, build` of every event so far, from the stream."""
    found: list[str] = []
    name = ""
    with system.api.stream("GET", "/api/v1/events/", params={"after": "0"}) as reply:
        for line in reply.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
                if name == "live":
                    return found
            elif line.startswith("data: "):
                import json

                found.append(f"{name} {json.loads(line[6:])['data'].get('build')}")
    return found

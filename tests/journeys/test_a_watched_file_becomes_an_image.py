"""A file is written into a watched directory; a while later its image can be pulled."""

import json

from tests.fixtures.containers import Client
from tests.fixtures.patience import wait_for
from tests.fixtures.system import System


def test_a_watched_file_becomes_an_image(system: System, skopeo: Client) -> None:
    folder = system.directory / "watched" / "project"
    folder.mkdir()
    (folder / "environment.yml").write_text("name: seen\nchannels: [conda-forge]\ndependencies: [python, click]\n")

    def current() -> int | None:
        reply = system.api.get("/api/v1/environment/default/seen/")
        return reply.json()["data"]["current_build_id"] if reply.status_code == 200 else None

    wait_for(current, seconds=60, what=lambda: "the watched file's build")
    facts = skopeo.run("inspect", "--tls-verify=false", f"docker://{system.registry}/seen:latest")
    assert "CONDA_PREFIX=/opt/env" in json.loads(facts)["Env"]

"""The yardstick: a child process that starts, imports py-rattler, solves, links and writes the lock."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from condarium.domain.specification import parse
from condarium.work.child import spawned
from services.builder.job import Job, host_platform

ROOT = Path(__file__).parents[1]


def job(text: str, directory: Path, settings: dict[str, str], number: int) -> Job:
    """What a builder with `settings` would ask of its child for this environment.yml."""
    specification = parse(text, check_match_spec=lambda spec: None)
    mirrors = json.loads(settings["CONDARIUM_CHANNEL_MIRRORS"])
    return Job(
        build_id=number,
        attempt=1,
        namespace="bare",
        name=specification.name,
        spec=specification.to_wire(),
        store=str(directory / "store"),
        cache=str(directory / "cache"),
        store_platform=host_platform(),
        channels={"alias": "https://conda.anaconda.org", "mirrors": mirrors, "labels": {}, "credentials": {}},
        virtual_packages={k: tuple(v) for k, v in json.loads(settings["CONDARIUM_VIRTUAL_PACKAGES"]).items()},
    )


def seconds(asked: Job) -> float:
    """From the start of the process to its last word. Raises RuntimeError when it could not link."""
    started = time.perf_counter()
    environ = {"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    with spawned([sys.executable, "-m", "services.builder.engine"], environ=environ) as child:
        child.wait_ready()
        child.send(asked.to_json())
        while (message := child.receive(300)) is not None:
            if message["event"] in ("linked", "failed"):
                break
        taken = time.perf_counter() - started
    if message is None or message["event"] != "linked":
        raise RuntimeError(f"the bare child says {message}")
    return taken


def renamed(asked: Job, name: str, number: int) -> Job:
    """The same job for another environment: the same lock, another prefix."""
    return replace(asked, name=name, build_id=number, spec={**asked.spec, "name": name})

"""Runs, medians, memory."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.fixtures.system import System

POLL_SECONDS = 0.005


def median(values: list[float]) -> float:
    return round(statistics.median(values), 4)


def build(system: System, text: str, seconds: float = 300) -> tuple[float, dict[str, Any]]:
    """POST to COMPLETED as a polling client sees it, in seconds; and the build."""
    started = time.perf_counter()
    build_id = system.submit(text)
    while True:
        found = system.build(build_id)
        if found["status"] in ("COMPLETED", "FAILED", "CANCELED"):
            break
        if time.perf_counter() - started > seconds:
            raise RuntimeError(f"build {build_id} is still {found['status']}")
        time.sleep(POLL_SECONDS)
    taken = time.perf_counter() - started
    if found["status"] != "COMPLETED":
        raise RuntimeError(f"build {build_id} is {found['status']}: {found['status_info']}")
    return taken, found


def until_artifact(system: System, build_id: int, artifact: str, seconds: float = 300) -> float:
    """Seconds until the build's detail lists the artifact."""
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        states = {item["artifact_type"]: item for item in system.build(build_id)["condarium"]["artifacts"]}
        found = states.get(artifact, {})
        if found.get("state") == "READY":
            return time.perf_counter() - started
        if found.get("state") == "FAILED":
            break
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"{artifact} of build {build_id} was not made: {system.build(build_id)['condarium']}")


def settle(seconds: float = 1.0) -> None:
    """Lets warm children start and packagers finish, so that runs do not disturb each other."""
    time.sleep(seconds)


def idle(system: System, build_id: int, seconds: float = 120) -> None:
    """Waits until everything that was asked of the build has been made."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        artifacts = system.build(build_id)["condarium"]["artifacts"]
        if artifacts and all(item["state"] in ("READY", "FAILED") for item in artifacts):
            return
        time.sleep(0.02)


def proportional_megabytes(system: System) -> dict[str, float]:
    """PSS of each service with all its children, in MB."""
    found: dict[str, float] = {}
    for service in system.services:
        processes = [psutil.Process(service.process.pid)]
        processes += processes[0].children(recursive=True)
        total = 0
        for process in processes:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        found[service.name] = round(found.get(service.name, 0) + total / 1e6, 1)
    return found


def repeat(times: int, run: Callable[[int], float]) -> float:
    """The median of `times` runs."""
    return median([run(number) for number in range(times)])


def load() -> str:
    """The machine, in a line: what a figure is worth depends on it."""
    return f"{os.cpu_count()} cores, load {' '.join(f'{value:.1f}' for value in os.getloadavg())}"

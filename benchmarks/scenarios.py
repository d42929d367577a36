"""The scenarios, each a function of the running system that returns its figures in seconds."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks import bare, measure
from tests.fixtures.system import System

Figures = dict[str, Any]
ROOT = Path(__file__).parents[1]

SMALL = "name: small\nchannels: [conda-forge]\ndependencies: [python, click, rich, requests]\n"
SCIENCE = (ROOT / "deploy" / "local" / "examples" / "science.yml").read_text()
LARGE = (ROOT / "tests" / "data" / "large.yml").read_text()


def named(text: str, name: str) -> str:
    return "\n".join(f"name: {name}" if line.startswith("name:") else line for line in text.splitlines()) + "\n"


def with_package(text: str, package: str) -> str:
    return text.replace("dependencies:\n", f"dependencies:\n  - {package}\n", 1)


def warm(system: System, directory: Path, label: str, text: str, times: int) -> Figures:
    """Packages known, prefix new: POST to COMPLETED beside the bare child on the same packages."""
    asked = bare.job(text, directory, system.settings, 1)
    bare.seconds(bare.renamed(asked, "first", 900))
    measure.build(system, named(text, f"{label}-first"))
    seen: list[dict[str, Any]] = []

    def ours(number: int) -> float:
        measure.settle()
        taken, found = measure.build(system, named(text, f"{label}-{number}"))
        seen.append(found["condarium"]["seconds"] | {"total": taken})
        measure.idle(system, found["id"])
        return taken

    child = measure.repeat(times, lambda number: bare.seconds(bare.renamed(asked, f"n{number}", 1000 + number)))
    taken = measure.repeat(times, ours)
    phases = {
        name: measure.median([row.get(name, 0.0) for row in seen]) for name in ("queue", "solve", "fetch", "link")
    }
    phases["claim and commit"] = round(taken - sum(phases.values()), 4)
    return {"condarium": taken, "bare child": child, "over bare": round(taken - child, 4), "phases": phases}


def known_lock(system: System, text: str, label: str, times: int) -> Figures:
    """The same specification again: a solve, and a prefix that is there."""

    def again(number: int) -> float:
        measure.settle(0.7)
        return measure.build(system, named(text, f"{label}-0"))[0]

    return {"condarium": measure.repeat(times, again)}


def one_more_package(system: System, label: str, text: str, times: int) -> Figures:
    """A package added to a known environment; its archive may be new to the cache."""

    def more(number: int) -> float:
        measure.settle()
        taken, found = measure.build(system, named(with_package(text, "flask"), f"{label}-more-{number}"))
        measure.idle(system, found["id"])
        return taken

    return {"condarium": measure.repeat(times, more)}


def cold(system: System, directory: Path, label: str, text: str, times: int) -> Figures:
    """No package in the cache, for us and for the bare child."""
    asked = bare.job(text, directory, system.settings, 1)

    def child(number: int) -> float:
        shutil.rmtree(directory / "cache", ignore_errors=True)
        return bare.seconds(bare.renamed(asked, f"cold{number}", 2000 + number))

    def ours(number: int) -> float:
        shutil.rmtree(Path(system.settings["CONDARIUM_CACHE"]), ignore_errors=True)
        measure.settle()
        taken, found = measure.build(system, named(text, f"{label}-cold-{number}"))
        measure.idle(system, found["id"])
        return taken

    bared, taken = measure.repeat(times, child), measure.repeat(times, ours)
    return {"condarium": taken, "bare child": bared, "times bare": round(taken / bared, 2)}


def served(system: System, label: str, text: str, times: int) -> Figures:
    """Tarball and image manifest of an environment whose packages are known, after COMPLETED."""
    tarballs, images, wholes = [], [], []
    for number in range(times):
        measure.settle()
        # Another variable makes another lock of the same packages.
        changed = named(text, f"{label}-served-{number}") + f"variables:\n  NUMBER: 'n{number}-{time.time_ns()}'\n"
        built, found = measure.build(system, changed)
        tarballs.append(measure.until_artifact(system, found["id"], "CONDA_PACK"))
        wholes.append(built + tarballs[-1])
        images.append(tarballs[-1] + measure.until_artifact(system, found["id"], "DOCKER_MANIFEST"))
    return {
        "POST to tarball": measure.median(wholes),
        "tarball after": measure.median(tarballs),
        "image after": measure.median(images),
    }


def burst(system: System, count: int) -> Figures:
    """`count` small environments at once; the most memory (PSS) of all five services meanwhile."""
    measure.build(system, named(SMALL, "burst-first"))
    measure.settle(2)
    peak: dict[str, float] = {}
    highest = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal highest, peak
        while not done.is_set():
            now = measure.proportional_megabytes(system)
            if sum(now.values()) > highest:
                highest, peak = sum(now.values()), now
            done.wait(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    wanted = [system.submit(named(SMALL, f"burst-{number}")) for number in range(count)]
    for build_id in wanted:
        system.wait_build(build_id, seconds=300)
    taken = time.perf_counter() - started
    for build_id in wanted:
        measure.idle(system, build_id)
    everything = time.perf_counter() - started
    done.set()
    watcher.join()
    return {
        "all built": round(taken, 3),
        "all served": round(everything, 3),
        "builds a minute": round(60 * count / taken),
        "peak PSS in MB": {"all": round(highest, 1), **peak},
    }

"""Starts a private system on the sample channel, measures, prints, and writes `benchmarks/results/<time>.json`.

python -m benchmarks [--quick]
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import growth, images, lists, measure, registry, scenarios, tarballs
from condarium.database import migrate
from deploy.base_image.make import make_base
from deploy.local.channel import make_channel
from deploy.local.postgres import PrivatePostgres
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.channel import cache_directory
from tests.fixtures.system import running_system

REGISTRY = "the registry, requests a second of one process"
LISTS = "lists over REST, requests a second of one gateway process"
#: conda-store 2025.2.2, the same packages, the same kind of machine (POST to COMPLETED and the like, in seconds)
CONDA_STORE = {
    "small, warm": 4.8,
    "science, warm": 8.6,
    "small, cold": 6.3,
    "science, cold": 10.1,
    "small, served": 6.3,
    "science, served": 12.2,
    "science, one package added": 10.2,
    "20 small at once": 76.0,
}


def main(arguments: list[str]) -> int:
    quick = "--quick" in arguments
    times = 3 if quick else 10
    channel = cache_directory() / "channel"
    channel.parent.mkdir(parents=True, exist_ok=True)
    make_channel(channel, progress=lambda line: print(line, flush=True))
    with tempfile.TemporaryDirectory(prefix="condarium-bench-", dir="/tmp") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        results = _measure(directory, channel, times, quick)
    _print(results)
    target = Path(__file__).parent / "results" / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target}")
    return tarballs.main(arguments)


def _measure(directory: Path, channel: Path, times: int, quick: bool) -> dict[str, Any]:
    results: dict[str, Any] = {"machine": measure.load(), "runs": times}
    with (
        PrivatePostgres(directory / "postgres") as postgres,
        PrivateRabbit(directory / "rabbitmq") as rabbit,
    ):
        with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
            connection.execute("create database bench")
        url = postgres.database_url("bench")
        migrate(url)
        make_base(directory / "base")
        print("... lists over REST", flush=True)
        results[LISTS] = lists.alone(postgres, rabbit.url, channel, seconds=2 if quick else 6)
        print("... the registry", flush=True)
        results[REGISTRY] = registry.alone(postgres, rabbit.url, channel, seconds=2 if quick else 6)
        print("... images", flush=True)
        results |= images.alone(postgres, rabbit.url, channel, directory, times)
        with running_system(
            database_url=url, amqp_url=rabbit.url, channel=channel, CONDARIUM_BASE_IMAGE=str(directory / "base")
        ) as system:
            bare = directory / "bare"

            def run(label: str, work: Any) -> None:
                print(f"... {label}", flush=True)
                results[label] = work()

            for name, text in (("small", scenarios.SMALL), ("science", scenarios.SCIENCE)):
                run(f"{name}, warm", lambda n=name, t=text: scenarios.warm(system, bare, n, t, times))
                run(f"{name}, lock known", lambda n=name, t=text: scenarios.known_lock(system, t, n, times))
                run(f"{name}, served", lambda n=name, t=text: scenarios.served(system, n, t, times))
            run(
                "science, one package added",
                lambda: scenarios.one_more_package(system, "science", scenarios.SCIENCE, times),
            )
            run("20 small at once", lambda: scenarios.burst(system, 20))
            for name, text in (("small", scenarios.SMALL), ("science", scenarios.SCIENCE)):
                run(f"{name}, cold", lambda n=name, t=text: scenarios.cold(system, bare, n, t, min(times, 3)))
            run("growth by packages", lambda: growth.with_packages(system, (2, 20, 60, 120), min(times, 3)))
            counts = (1, 1000) if quick else (1, 100, 1000, 10_000)
            run(
                "growth by environments",
                lambda: growth.with_environments(system, scenarios.SMALL, counts, min(times, 3)),
            )
    results["machine after"] = measure.load()
    return results


def _print(results: dict[str, Any]) -> None:
    print(f"\n{results['machine']}; {results['runs']} runs, medians in seconds\n")
    for label, figures in results.items():
        if not isinstance(figures, dict):
            continue
        if label == LISTS:
            print(label)
            lists.show(figures)
            continue
        if label == REGISTRY:
            print(label)
            registry.show(figures)
            continue
        before = CONDA_STORE.get(label)
        ours = figures.get("condarium") or figures.get("all built") or figures.get("POST to tarball")
        ratio = f"   conda-store {before:g} s: {before / ours:.0f} times" if before and ours else ""
        print(f"{label}{ratio}")
        for name, value in figures.items():
            shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            print(f"    {name:<18} {shown}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Lists over REST: requests a second of one gateway process, beside a bare route that writes the same page.

python -m benchmarks.lists [--quick]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks import load, measure, rows
from condarium.database import migrate
from deploy.local.postgres import PrivatePostgres
from tests.fixtures.system import TOKEN, System, free_port, running_system

Figures = dict[str, Any]

#: what is asked, and what conda-store 2025.2.2 does of it: one process, two cores, 8 connections, 1,073 environments
CONDA_STORE = {
    "/api/v1/environment/?page=1&size=100": 5.0,
    "/api/v1/build/?page=1&size=100": 8.0,
    "/api/v1/environment/?page=1&size=10": 43.0,
    "/api/v1/build/?page=1&size=10": 58.0,
    "/api/v1/namespace/": 117.0,
    "/api/v2/environment/?limit=100": None,
}
#: (environments, builds)
SMALL, LARGE = (1073, 5000), (10_000, 100_000)
GROWING = ("/api/v1/environment/?page=1&size=100", "/api/v1/build/?page=1&size=100", "/api/v1/build/?page=900&size=100")


def measured(system: System, *, seconds: float) -> Figures:
    """Every list with 1,073 environments as administrator; one of them as anonymous; then the large ones."""
    found: Figures = {"client": load.client()}
    url = system.settings["CONDARIUM_DATABASE_URL"]
    rows.fill(url, environments=SMALL[0], builds=SMALL[1])
    for path, before in CONDA_STORE.items():
        found[path] = _beside_bare(system, path, before, seconds)
    path = GROWING[0]
    found[f"{path}, anonymous"] = _asked(system, path, "", seconds)
    rows.fill(url, environments=LARGE[0], builds=LARGE[1])
    for path in GROWING:
        label = f"{path}, {LARGE[0]:,} environments, {LARGE[1]:,} builds"
        found[label] = _asked(system, path, TOKEN, seconds)
    return found


def _beside_bare(system: System, path: str, before: float | None, seconds: float) -> Figures:
    reply = system.api.get(path)
    assert reply.status_code == 200, reply.text
    ours = _asked(system, path, TOKEN, seconds)
    with bare_route(reply.json()) as bare_url:
        load.warm_up(bare_url)
        bare = load.run(bare_url, seconds=seconds)
    figures = {**ours, "bytes": len(reply.content), "bare route": bare.per_second}
    figures["of the bare route"] = round(ours["per_second"] / bare.per_second, 2)
    if before is not None:
        figures |= {"conda-store": before, "times conda-store": round(ours["per_second"] / before)}
    return figures


def _asked(system: System, path: str, token: str, seconds: float) -> Figures:
    """The load, and what it cost: on a machine that does other things besides, CPU time is what can be compared."""
    processes = [psutil.Process(system.one("api").process.pid), *_of_postgres(system)]
    load.warm_up(f"{system.url}{path}", token)
    before = [_cpu_seconds(process) for process in processes]
    ours = load.run(f"{system.url}{path}", token, seconds=seconds)
    spent = [_cpu_seconds(process) - start for process, start in zip(processes, before, strict=True)]
    gateway, postgres = (round(1000 * each / ours.count, 3) for each in (spent[0], sum(spent[1:])))
    cost = {"gateway CPU ms": gateway, "Postgres CPU ms": postgres}
    return {"per_second": ours.per_second, "p50": ours.p50, "p99": ours.p99, **cost}


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _of_postgres(system: System) -> list[psutil.Process]:
    """The backends that answer lists, once the gateway has asked some."""
    load.warm_up(f"{system.url}/api/v1/namespace/", TOKEN)
    with psycopg.connect(system.settings["CONDARIUM_DATABASE_URL"]) as connection:
        found = connection.execute("select pid from pg_stat_activity where application_name = 'condarium-api-lists'")
        return [psutil.Process(row[0]) for row in found]


@contextmanager
def bare_route(content: Any) -> Iterator[str]:
    """A process of its own that answers `content`; its address."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_route", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(content).encode())
        process.stdin.close()
        try:
            _wait(f"http://127.0.0.1:{port}/")
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            httpx.get(url)
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def alone(postgres: PrivatePostgres, amqp_url: str, channel: Path, *, seconds: float = 4.0) -> Figures:
    """On a database of its own, with the gateway as the only service."""
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute("create database lists")
    url = postgres.database_url("lists")
    migrate(url)
    with running_system(database_url=url, amqp_url=amqp_url, channel=channel, services=("api",)) as system:
        return measured(system, seconds=seconds)


def show(found: Figures) -> None:
    print(f"    {measure.load()}; {found['client']}, {load.CONNECTIONS} connections")
    for label, figures in found.items():
        if isinstance(figures, dict):
            more = ", ".join(f"{name} {value}" for name, value in figures.items() if name != "per_second")
            print(f"    {figures['per_second']:>8.0f}/s  {label}\n                {more}")


def main(arguments: list[str]) -> int:
    from deploy.local.rabbitmq import PrivateRabbit
    from tests.fixtures.channel import cache_directory

    with tempfile.TemporaryDirectory(prefix="condarium-bench-", dir="/tmp") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        with PrivatePostgres(directory / "postgres") as postgres, PrivateRabbit(directory / "rabbitmq") as rabbit:
            channel = cache_directory() / "channel"
            show(alone(postgres, rabbit.url, channel, seconds=2 if "--quick" in arguments else 6))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The package index of a channel with half a million records: reading it, keeping it, asking it.

    python -m benchmarks.package_index [--records 500000]

Against a private Postgres, over HTTP on the loopback, by the watcher's own child process. Prints, and writes
`benchmarks/results/package-index-<time>.json`.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psycopg
import structlog
import zstandard
from sqlalchemy import text

from benchmarks import measure, synthetic_channel
from condarium.database import Database, migrate
from condarium.work.child import Child, Message, environment
from deploy.local.postgres import PrivatePostgres
from services.watcher.indexing import Indexing
from tests.fixtures.gateway import running_gateway
from tests.fixtures.http_directory import serve_directory
from tests.fixtures.repodata import plan

PART = synthetic_channel.SUBDIR
#: what conda-store's UI asks, and what nobody asks
QUESTIONS = {
    "names, as the UI suggests them": "search=py&size=100&distinct_on=name",
    "all names": "distinct_on=name",
    "all names, page 200": "distinct_on=name&page=200",
    "versions, as the UI lists them": "search=numpy&exact=true&distinct_on=version&order=desc&sort_by=version",
    "a part of a name": "search=json",
    "everything": "",
    "everything, page 1000": "page=1000",
    "everything by version": "sort_by=version",
    "everything by version, page 1000": "sort_by=version&page=1000",
    "every version once": "distinct_on=version",
    "a build of one package": "search=numpy&exact=true&build=py311",
    "a build of any package": "build=py311",
}


class Told:
    """Keeps what the child says last."""

    def __init__(self) -> None:
        self.last: Message = {}

    def __call__(self, logger: Any, name: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if fields.get("part") == PART:
            self.last = dict(fields)
        raise structlog.DropEvent


def main(arguments: list[str]) -> int:
    count = int(arguments[arguments.index("--records") + 1]) if "--records" in arguments else 500_000
    results: dict[str, Any] = {"machine": measure.load(), "records": count}
    with tempfile.TemporaryDirectory(prefix="condarium-bench-", dir="/tmp") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        channel = synthetic_channel.write(directory / "channel", count)
        with database(directory) as url:
            with serve_directory(channel) as served:
                results |= syncs(url, channel, served.url)
            results["questions, ms"] = questions(url, directory)
    results["machine after"] = measure.load()
    for name, value in results.items():
        print(f"{name}: {json.dumps(value, indent=2)}")
    target = Path(__file__).parent / "results" / f"package-index-{time.strftime('%Y%m%d-%H%M%S')}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    return 0


@contextmanager
def database(directory: Path) -> Iterator[str]:
    with PrivatePostgres(directory / "postgres") as server:
        with psycopg.connect(server.database_url("postgres"), autocommit=True) as connection:
            connection.execute("create database bench")
        url = server.database_url("bench")
        migrate(url)
        yield url


def syncs(url: str, channel: Path, location: str) -> dict[str, Any]:
    told = Told()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, told])
    place = Database(url, pool_size=4)

    def start() -> Child:
        return Child([sys.executable, "-m", "services.watcher.indexer"], environ=environment(os.environ))

    indexing = Indexing(place, plan(location), owner="bench", start_child=start)

    def sync() -> dict[str, Any]:
        with place.transaction() as session:
            session.execute(text("update channel_syncs set not_before = null where part = :part"), {"part": PART})
        began = time.monotonic()
        while indexing.work() and not told.last:
            pass
        spent = time.monotonic() - began
        said, told.last = told.last, {}
        shown = {name: said[name] for name in ("changed", "added", "removed", "records", "reason") if name in said}
        return {"seconds": round(spent, 2), "peak MB": round(said.get("peak_bytes", 0) / 1e6), **shown}

    found = {"first": sync(), "unchanged": sync()}
    patch(channel, 100)
    found["100 patched, 100 yanked, 100 added"] = sync()
    place.close()
    return {f"sync: {name}": value for name, value in found.items()}


def patch(channel: Path, count: int) -> None:
    """Changes repodata as a day at conda-forge does."""
    file = channel / synthetic_channel.SUBDIR / "repodata.json"
    content = json.loads(file.read_bytes())
    records = content["packages.conda"]
    chosen = random.Random(3).sample(list(records), 2 * count)
    for name in chosen[:count]:
        records[name]["depends"] = ["python <4", *records[name]["depends"]]
    for name in chosen[count:]:
        record = records.pop(name)
        records[f"new-{name}"] = {**record, "version": f"9.{record['version']}"}
    raw = json.dumps(content, separators=(",", ":")).encode()
    file.write_bytes(raw)
    packed = file.with_name("repodata.json.zst")
    packed.write_bytes(zstandard.compress(raw, 3))
    # the server tells of whole seconds
    moment = time.time() + 5
    os.utime(packed, (moment, moment))


def questions(url: str, directory: Path) -> dict[str, float]:
    (directory / "storage").mkdir()
    with running_gateway(url, directory / "storage") as gateway:

        def ask(query: str) -> Callable[[], httpx.Response]:
            return lambda: gateway.admin.get(f"/api/v1/package/?{query}").raise_for_status()

        return {name: _milliseconds(ask(query)) for name, query in QUESTIONS.items()}


def _milliseconds(work: Callable[[], Any], times: int = 11) -> float:
    spent = []
    for _ in range(times):
        began = time.monotonic()
        work()
        spent.append((time.monotonic() - began) * 1000)
    return round(median(spent), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

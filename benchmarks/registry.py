"""The registry: manifests a second of one process, with few images and with many, and what a pull without news costs.

python -m benchmarks.registry [--quick]
"""

import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks import load, measure
from condarium.database import Database, migrate
from condarium.storage import open_storage
from deploy.local.postgres import PrivatePostgres
from tests.fixtures.served import Served, make_lock
from tests.fixtures.system import System, running_system

Figures = dict[str, Any]

CONNECTIONS = 32
#: environments with an image each
FEW, MANY = 20, 5_000
#: what a docker client sends when it asks whether a tag has changed
DOCKER = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"}
_IMAGES = """
with lock as (
    insert into locks (sha256, platform, content) select encode(sha256(('lock' || n)::bytea), 'hex'), platform, content
    from generate_series(%(first)s::int, %(last)s) n, (select platform, content from locks order by id limit 1) known
    returning id
)
insert into images (digest, lock_id, plan, media_type, manifest, config_digest, size)
select encode(sha256(('image' || lock.id)::bytea), 'hex'), lock.id, 'plan', one.media_type, one.manifest, '', 1
from lock, (select media_type, manifest from images order by created_on, digest limit 1) one
"""


def measured(system: System, *, seconds: float, blob_bytes: int = 50_000_000) -> Figures:
    """Requests of one registry process; blobs out of the file store."""
    content = _content(system, blob_bytes)
    url = f"http://{system.registry}/v2/env"
    reply = httpx.get(f"{url}/manifests/latest", headers=DOCKER)
    digest, layer = reply.headers["docker-content-digest"], reply.json()["layers"][0]
    found: Figures = {"client": load.client()}
    for images in (FEW, MANY):
        _images(system, images)
        found[f"manifest by tag, {images:,} images"] = _asked(system, f"{url}/manifests/latest", seconds)
        found[f"manifest by digest, {images:,} images"] = _asked(system, f"{url}/manifests/{digest}", seconds)
    with _writer(system) as written:
        found["manifest by tag while others write"] = _asked(system, f"{url}/manifests/latest", seconds)
        found["manifest by tag while others write"]["writes"] = written()
    found["pull with nothing new"] = _unchanged(system, f"{url}/manifests", count=round(200 * seconds))
    found["blob out of the file store"] = _blob(system, f"{url}/blobs/{layer['digest']}", layer["size"], times=10)
    content.database.close()
    return found


def _content(system: System, blob_bytes: int) -> Served:
    storage = open_storage(system.settings["CONDARIUM_STORAGE_URL"])
    storage.prepare()
    content = Served(Database(system.settings["CONDARIUM_DATABASE_URL"]), storage, "")
    build_id = content.submit("env").build_id
    content.solve(build_id, make_lock("zlib"))
    content.complete(build_id)
    content.make_image(build_id, {"opt/env/data": _noise(blob_bytes)})
    return content


def _noise(size: int) -> bytes:
    """Bytes that no codec makes shorter, the same each time."""
    return hashlib.shake_128(b"layer").digest(size)


def _images(system: System, count: int) -> None:
    with psycopg.connect(system.settings["CONDARIUM_DATABASE_URL"], autocommit=True) as connection:
        row = connection.execute("select count(*) from images").fetchone()
        assert row is not None
        connection.execute(_IMAGES, {"first": row[0] + 1, "last": count})
        connection.execute("analyze")


@contextmanager
def _writer(system: System, per_second: int = 50) -> Iterator[Callable[[], int]]:
    """Transactions that change something else, from a thread; gives how many there were."""
    stop, count = threading.Event(), 0

    def write() -> None:
        nonlocal count
        with psycopg.connect(system.settings["CONDARIUM_DATABASE_URL"], autocommit=True) as connection:
            while not stop.wait(1 / per_second):
                connection.execute("update namespaces set created_by = created_by")
                count += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield lambda: count
    finally:
        stop.set()
        thread.join()


def _process(system: System) -> psutil.Process:
    return psutil.Process(system.one("registry").process.pid)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _asked(system: System, url: str, seconds: float) -> Figures:
    process = _process(system)
    load.warm_up(url)
    before = _cpu(process)
    ours = load.run(url, seconds=seconds, connections=CONNECTIONS)
    spent = 1000 * (_cpu(process) - before) / ours.count
    return {"per_second": ours.per_second, "p50": ours.p50, "p99": ours.p99, "CPU ms": round(spent, 3)}


def _unchanged(system: System, url: str, *, count: int) -> Figures:
    """The two requests of docker (`GET /v2/`, `HEAD` by tag), one after the other, in milliseconds."""
    took = []
    with httpx.Client(headers=DOCKER) as http:
        for _ in range(count):
            for method, address in (("GET", url.split("/v2/")[0] + "/v2/"), ("HEAD", f"{url}/latest")):
                started = time.perf_counter()
                reply = http.request(method, address)
                took.append(1000 * (time.perf_counter() - started))
                assert reply.status_code in (200, 401), reply.text
    took.sort()
    return {"requests": 2, "p50": round(took[len(took) // 2], 2), "p99": round(took[int(len(took) * 0.99)], 2)}


def _blob(system: System, url: str, size: int, *, times: int) -> Figures:
    process = _process(system)
    before, started = _cpu(process), time.perf_counter()
    with httpx.Client() as http:
        for _ in range(times):
            with http.stream("GET", url) as reply:
                assert sum(len(chunk) for chunk in reply.iter_raw()) == size
    taken, spent = time.perf_counter() - started, _cpu(process) - before
    moved = times * size / 1e6
    return {"MB/s": round(moved / taken), "CPU ms per 100 MB": round(100_000 * spent / moved, 1)}


def alone(postgres: PrivatePostgres, amqp_url: str, channel: Path, *, seconds: float = 4.0) -> Figures:
    """On a database of its own, with the registry as the only service."""
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute("create database registry")
    url = postgres.database_url("registry")
    migrate(url)
    with running_system(database_url=url, amqp_url=amqp_url, channel=channel, services=("registry",)) as system:
        return measured(system, seconds=seconds)


def show(found: Figures) -> None:
    print(f"    {measure.load()}; {found['client']}, {CONNECTIONS} connections")
    for label, figures in found.items():
        if isinstance(figures, dict):
            print(f"    {label:<42} " + ", ".join(f"{name} {value}" for name, value in figures.items()))


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

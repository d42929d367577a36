"""Tarballs and installers: from the request to the last byte, of packages known and unknown, from files and from S3.

    python -m benchmarks.tarballs [--quick]

Beside conda-pack on the same environment. Prints, and writes `benchmarks/results/tarballs-<time>.json`.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import yaml

from benchmarks import measure, synthetic_packages
from benchmarks.scenarios import SCIENCE, Figures
from condarium.database import migrate
from deploy.local.channel import make_channel
from deploy.local.object_store import PrivateObjectStore
from deploy.local.postgres import PrivatePostgres
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.channel import cache_directory
from tests.fixtures.system import TOKEN, System, running_system

#: seconds; the issue's bars
BARS = {"about 40 packages": {"known": 0.2}, "about 300 packages": {"unknown": 8.0, "known": 0.6}}


def of(system: System, text: str, times: int) -> Figures:
    """The tarball of one environment; nobody has asked for any of its packages before."""
    build = _built(system, text)
    packages = system.api.get(f"/api/v1/build/{build}/packages/?size=1").json()["count"]
    unknown = fetch(system, build, "archive/")
    known = [fetch(system, _built(system, text, RUN=str(number)), "archive/") for number in range(times)]
    ready = [fetch(system, build, "archive/") for _ in range(times)]
    installer = fetch(system, build, "installer/")
    return {
        "packages": packages,
        "MB": round(unknown["bytes"] / 1e6, 1),
        "unknown, s": unknown["last byte"],
        "known, s": measure.median([each["last byte"] for each in known]),
        "known, first byte, s": measure.median([each["first byte"] for each in known]),
        "made before, s": measure.median([each["last byte"] for each in ready]),
        "made before, first byte, s": measure.median([each["first byte"] for each in ready]),
        "installer, s": installer["last byte"],
    }


def conda_pack(system: System, text: str, directory: Path) -> float:
    """Seconds for the same environment's prefix, packed by conda-pack with all threads."""
    build = _built(system, text)
    prefix = system.build(build)["condarium"]["prefix"]
    options = f"prefix={prefix!r}, output={str(directory / 'env.tar.gz')!r}, n_threads=-1, force=True"
    code = f"import conda_pack; conda_pack.pack({options})"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return round(time.perf_counter() - began, 2)


def fetch(system: System, build: int, path: str) -> dict[str, float]:
    """From the request, redirect included, to the first and the last byte."""
    began = time.perf_counter()
    where = f"{system.url}/api/v1/build/{build}/{path}?wait=300"
    while True:
        parts = urlsplit(where)
        connection = http.client.HTTPConnection(parts.netloc, timeout=300)
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"Authorization": f"Bearer {TOKEN}"})
        reply = connection.getresponse()
        if reply.status != 307:
            break
        location = reply.headers["Location"]
        where = location if "://" in location else f"{system.url}{location}"
        connection.close()
    if reply.status != 200:
        raise RuntimeError(f"{path} of build {build}: {reply.status} {reply.read()[:300]!r}")
    buffer, size, first = bytearray(1 << 20), 0, 0.0
    while got := reply.readinto(buffer):
        first = first or time.perf_counter() - began
        size += got
    connection.close()
    return {"bytes": size, "first byte": round(first, 4), "last byte": round(time.perf_counter() - began, 4)}


def _built(system: System, text: str, **variables: str) -> int:
    build = system.submit(
        yaml.safe_dump(yaml.safe_load(text) | {"variables": variables} if variables else yaml.safe_load(text))
    )
    system.wait_build(build, seconds=600)
    measure.settle(0.2)
    return build


@contextmanager
def _systems(directory: Path, channel: Path, synthetic: Path) -> Iterator[dict[str, System]]:
    """One on files, one on S3; they make nothing by themselves."""
    with (
        PrivatePostgres(directory / "postgres") as postgres,
        PrivateRabbit(directory / "rabbitmq") as rabbit,
        PrivateObjectStore(directory / "s3") as objects,
    ):
        mirrors = {"conda-forge": [channel.as_uri()], "synthetic": [synthetic.as_uri()]}
        more = {"CONDARIUM_ARTIFACTS": "LOCKFILE,LOGS", "CONDARIUM_CHANNEL_MIRRORS": json.dumps(mirrors)}

        def urls(name: str) -> dict[str, str]:
            with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
                connection.execute(f"create database {name}".encode())
            migrate(postgres.database_url(name))
            return {"database_url": postgres.database_url(name), "amqp_url": rabbit.add_virtual_host(name)}

        with (
            running_system(**urls("files"), channel=channel, **more) as files,
            running_system(**urls("s3"), channel=channel, **more, CONDARIUM_STORAGE_URL=objects.url) as in_s3,
        ):
            yield {"files": files, "S3": in_s3}


def main(arguments: list[str]) -> int:
    times = 3 if "--quick" in arguments else 7
    channel = cache_directory() / "channel"
    make_channel(channel, progress=lambda line: print(line, flush=True))
    results: dict[str, Any] = {"machine": measure.load(), "runs": times}
    with tempfile.TemporaryDirectory(prefix="condarium-bench-", dir="/tmp") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        print("... a channel of 300 packages, 1.5 GB", flush=True)
        names = synthetic_packages.make(directory, channel, packages=300, total=1_500_000_000)
        large = yaml.safe_dump({"name": "large", "channels": ["synthetic"], "dependencies": names})
        texts = {"about 40 packages": SCIENCE, "about 300 packages": large}
        with _systems(directory, channel, directory / "channel") as systems:
            for label, text in texts.items():
                for kind, system in systems.items():
                    print(f"... {label}, {kind}", flush=True)
                    # Linking 48,000 files takes the builder longer than all that is measured here.
                    found = results[f"{label}, {kind}"] = of(system, text, times if "40" in label else 1)
                    print(found, flush=True)
                packed = conda_pack(systems["files"], text, directory)
                ours = results[f"{label}, files"]
                results[f"{label}, conda-pack"] = {
                    "s": packed,
                    "times of known": round(packed / ours["known, s"], 1),
                    "times of unknown": round(packed / ours["unknown, s"], 1),
                }
    results["machine after"] = measure.load()
    for label, figures in results.items():
        print(label, figures)
    print("bars", BARS)
    target = Path(__file__).parent / "results" / f"tarballs-{time.strftime('%Y%m%d-%H%M%S')}.json"
    target.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

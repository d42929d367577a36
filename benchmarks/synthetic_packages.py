"""A channel of packages of any size, of real files: for what the sample channel is too small for.

What is in the packages are the bytes of the sample channel's Python and its libraries, cut into files, so that they
compress as such files do.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

from rattler.index import index_fs
from rattler.package_streaming import extract

from tests.fixtures.packages import Put, make_package

FILE_BYTES = 32 * 1024
#: their bytes are what all files are cut out of
SOURCES = ("python-", "numpy-", "pandas-")


def make(directory: Path, sample: Path, *, packages: int, total: int) -> list[str]:
    """Writes the channel, `total` bytes unpacked; returns the names of its packages."""
    pool = b"".join(_files(directory / "pool", sample))
    (directory / "channel" / "linux-64").mkdir(parents=True)
    (directory / "channel" / "noarch").mkdir()
    each = total // packages // FILE_BYTES
    names = [f"synthetic-{number}" for number in range(packages)]
    at = 0
    for name in names:
        puts = []
        for number in range(each):
            puts.append(Put(f"lib/{name}/{number}", pool[at : at + FILE_BYTES]))
            at = (at + FILE_BYTES) % (len(pool) - FILE_BYTES)
        at += 4096 + 1  # the next one begins elsewhere
        make_package(directory / "channel" / "linux-64", name, puts)
    asyncio.run(index_fs(directory / "channel", write_zst=True, write_shards=True))
    return names


def _files(directory: Path, sample: Path) -> Iterator[bytes]:
    records = json.loads((sample / "linux-64" / "repodata.json").read_text())["packages.conda"]
    for filename in sorted(records):
        if filename.startswith(SOURCES):
            target = directory / filename
            extract(sample / "linux-64" / filename, target)
            for path in sorted(target.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    yield path.read_bytes()

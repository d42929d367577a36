"""A channel of any size whose repodata looks like conda-forge's: for measuring, and for tests of what grows.

    python -m benchmarks.synthetic_channel DIRECTORY [RECORDS]

Some names have many versions, most have few; each version has a few builds, each of them hashes, dependencies with
ranges, a licence. There are no packages behind it. The same arguments give the same bytes.
"""

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

SUBDIR = "linux-64"
#: about as many records for each name as conda-forge/linux-64 has
RECORDS_PER_NAME = 17
_LICENCES = ("MIT", "BSD-3-Clause", "Apache-2.0", "GPL-3.0-or-later", "LGPL-2.1-only", "PSF-2.0", "MPL-2.0")
# fmt: off
_WORDS = [
    "air", "arrow", "array", "async", "base", "block", "cache", "chain", "client", "cloud", "code", "data", "deep",
    "dict", "event", "fast", "file", "flow", "graph", "grid", "hash", "http", "image", "index", "io", "json", "kit",
    "lib", "link", "map", "mesh", "ml", "model", "net", "node", "num", "open", "pack", "parse", "path", "plot", "py",
    "query", "quick", "rest", "scan", "set", "shell", "sim", "sort", "sql", "stat", "stream", "sync", "table", "task",
    "test", "text", "time", "tool", "tree", "type", "url", "view", "web", "xml",
]
# fmt: on


def names(count: int) -> list[str]:
    """Distinct names such as `py-graph-json`; the first one is numpy."""
    chance = random.Random(1)
    found = {"numpy": None}
    while len(found) < count:
        parts = chance.sample(_WORDS, chance.choice((1, 2, 2, 3, 3)))
        name = chance.choice(("-", "-", "_", "")).join(parts)
        found.setdefault(name if chance.random() < 0.7 else f"{name}{chance.randrange(100)}")
    return list(found)


def records(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file name, record), `count` of them."""
    chance = random.Random(2)
    known = names(max(1, count // RECORDS_PER_NAME))
    made, again = 0, False
    while made < count:
        for number, name in enumerate(known):
            # The first names are the popular ones, and come more often after the first round.
            if again and chance.random() > 40 / (40 + number):
                continue
            for _ in range(chance.choice((1, 2, 4, 8))):
                version = _version(chance)
                for build in range(chance.choice((1, 2, 3, 6))):
                    if made == count:
                        return
                    made += 1
                    yield _record(chance, known, name, version, build, made)
        again = True


def write(directory: Path, count: int, *, subdir: str = SUBDIR) -> Path:
    """Writes repodata.json and .zst of one subdir, and an empty noarch; returns the channel."""
    for name, content in (("noarch", {}), (subdir, dict(records(count)))):
        place = directory / name
        place.mkdir(parents=True, exist_ok=True)
        repodata = {"info": {"subdir": name}, "packages": {}, "packages.conda": content, "repodata_version": 1}
        text = json.dumps(repodata, separators=(",", ":")).encode()
        (place / "repodata.json").write_bytes(text)
        (place / "repodata.json.zst").write_bytes(zstandard.compress(text, 3))
    return directory


def _version(chance: random.Random) -> str:
    parts = [chance.randrange(4), chance.randrange(30), chance.randrange(40)][: chance.choice((2, 3, 3, 3))]
    return ".".join(map(str, parts)) + chance.choice(("",) * 12 + ("rc1", "a0", ".post1", ".dev3"))


def _record(
    chance: random.Random, known: list[str], name: str, version: str, build: int, made: int
) -> tuple[str, dict[str, Any]]:
    sha256 = hashlib.sha256(f"{made}".encode()).hexdigest()
    text = f"py3{9 + build % 5}h{sha256[:7]}_{build}"
    needed = chance.sample(known, min(len(known), chance.randrange(3, 9)))
    record = {
        "arch": "x86_64",
        "build": text,
        "build_number": build,
        "constrains": [f"{needed[0]} <9"] if build % 4 == 0 else [],
        "depends": [f"{each} >={chance.randrange(3)}.{chance.randrange(20)},<{3 + build}.0a0" for each in needed],
        "license": chance.choice(_LICENCES),
        "license_family": "OTHER",
        "md5": sha256[:32],
        "name": name,
        "platform": "linux",
        "sha256": sha256,
        "size": chance.randrange(2_000, 40_000_000),
        "subdir": SUBDIR,
        "timestamp": 1_500_000_000_000 + made * 400_000,
        "version": version,
    }
    return f"{name}-{version}-{text}.conda", record


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__)
        return 2
    count = int(arguments[1]) if len(arguments) > 1 else 500_000
    print(write(Path(arguments[0]), count))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

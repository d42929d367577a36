"""A package of any size is streamed: the process that makes its layer stays small, for both compressions."""

import io
import json
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from condarium.domain.lock import Record
from tests.fixtures.packages import PLACEHOLDER, lock_of, record_of

ROOT = Path(__file__).parents[2]
MB = 1 << 20
#: of the whole process, imports included; of which the spool keeps 32 MB in memory
BOUND_BYTES = 130 * MB

CHILD = """
import json, sys
from pathlib import Path
from condarium.conda.pieces.layer import make_layer
from condarium.domain.lock import Lock
directory, compression = Path(sys.argv[1]), sys.argv[2]
lock = Lock.from_json(json.loads((directory / "lock.json").read_text()))
record = lock.conda[0]
archives = {record.sha256: directory / record.filename}
with (directory / "layer").open("wb") as sink:
    result = make_layer(lock, [record], archives, sink=sink, compression=compression, spool_directory=directory)
# not ru_maxrss, which counts what the parent had when it started this process
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
print(json.dumps({"peak": peak, "raw": result.raw_size, "size": result.size}))
"""


class Chunks:
    """A file of chunks that are made while they are read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, b"")):
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def big_files() -> dict[str, tuple[int, Iterator[bytes]]]:
    words = (b"a line of text that says little\n" * 3 + PLACEHOLDER.encode() + b"/lib\n") * 2000
    return {
        "lib/noise.bin": (224 * MB, (random.Random(n).randbytes(MB) for n in range(224))),
        "lib/zeros.bin": (96 * MB, (bytes(MB) for _ in range(96))),
        "share/text.txt": (len(words) * 60, (words for _ in range(60))),
        "lib/patched.so": (64 * MB, (PLACEHOLDER.encode() + bytes(MB - len(PLACEHOLDER)) for _ in range(64))),
    }


def big_package(directory: Path) -> Record:
    """380 MB in all, written without holding it."""
    modes = {"share/text.txt": "text", "lib/patched.so": "binary"}
    paths = []
    for name, (size, _) in big_files().items():
        entry: dict[str, object] = {"_path": name, "path_type": "hardlink", "sha256": "0" * 64, "size_in_bytes": size}
        if name in modes:
            entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": modes[name]}
        paths.append(entry)
    index = {"name": "big", "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "linux-64"}
    path = directory / "big-1.0-0.conda"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        with (
            archive.open("pkg-big-1.0-0.tar.zst", "w", force_zip64=True) as member,
            zstandard.ZstdCompressor(level=1).stream_writer(member, closefd=False) as sink,
        ):
            write_tar(sink, big_files())
        info = {"info/index.json": json.dumps(index).encode(), "info/paths.json": json.dumps({"paths": paths}).encode()}
        buffer = io.BytesIO()
        write_tar(buffer, {name: (len(data), iter([data])) for name, data in info.items()})
        archive.writestr("info-big-1.0-0.tar.zst", zstandard.ZstdCompressor().compress(buffer.getvalue()))
    return record_of(path, index)


def write_tar(sink: object, files: dict[str, tuple[int, Iterator[bytes]]]) -> None:
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for name, (size, chunks) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = size
            tar.addfile(entry, Chunks(chunks))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("big")
    (made / "lock.json").write_text(json.dumps(lock_of([big_package(made)]).to_json()))
    return made


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_peak_memory(directory: Path, compression: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(directory), compression],
        env={"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    (directory / "layer").unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["raw"] > 380 * MB
    assert told["size"] > 224 * MB
    assert told["peak"] < BOUND_BYTES, f"{told['peak'] / MB:.0f} MB"

"""What a package archive says of itself: its `info/index.json`, without unpacking the rest."""

import bz2
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from condarium.conda.archive import bad_package, malformed_as_input_fault

_NAME = "info/index.json"
_LIMIT_BYTES = 16 << 20


def read_index(archive: Path, filename: str) -> dict[str, Any]:
    """The object in index.json; `filename` decides the format.

    Raises InputFault("bad-package") for whatever is wrong with the archive, WorldFault when the disk fails.
    """
    with malformed_as_input_fault(filename):
        if filename.endswith(".conda"):
            raw = _from_conda(archive, filename)
        else:
            with bz2.open(archive, "rb") as stream:
                raw = _find(stream, filename)  # type: ignore[arg-type]
        index = json.loads(raw)
        if not isinstance(index, dict):
            raise bad_package(filename, f"its {_NAME} is no object")
        return index


def _from_conda(archive: Path, filename: str) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.startswith("info-") and name.endswith(".tar.zst")]
        if len(names) != 1:
            raise bad_package(filename, "holds no info-*.tar.zst")
        decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        with (
            opened.open(names[0]) as compressed,
            decompressor.stream_reader(compressed, read_across_frames=True, closefd=False) as stream,
        ):
            return _find(stream, filename)


def _find(stream: BinaryIO, filename: str) -> bytes:
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.name.removeprefix("./") == _NAME and member.isreg() and member.size <= _LIMIT_BYTES:
                source = tar.extractfile(member)
                assert source is not None
                return source.read()
            tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header otherwise
    raise bad_package(filename, f"has no {_NAME}")

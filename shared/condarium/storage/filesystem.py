"""Bytes in a directory: written aside, synced, renamed into place."""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

from condarium.errors import NotFound, WorldFault
from condarium.storage.joined import Joined
from condarium.storage.port import (
    CHUNK_BYTES,
    STALE_SECONDS,
    Blob,
    Entry,
    HashingReader,
    Source,
    Stat,
    Stored,
    check_key,
    check_range,
    is_content_key,
    measure,
)

_STAGING = ".staging"


class FileStorage:
    """A key is the path of a file below `root`; half-written files lie in `.staging` and nowhere else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"FileStorage({str(self.root)!r})"

    def prepare(self) -> None:
        with _faults(f"cannot make the directory {self.root}"):
            (self.root / _STAGING).mkdir(parents=True, exist_ok=True)
            self._forget_stale()

    def _forget_stale(self) -> None:
        """What a killed writer left; nobody writes for a day."""
        for left in (self.root / _STAGING).iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    left.unlink()

    def check(self) -> None:
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise WorldFault(f"the storage directory {self.root} is missing or cannot be written")

    def put(self, key: str, source: Source) -> Stored:
        target = self._file(key)
        if isinstance(source, bytes | Path) and is_content_key(key):
            # Only what is there already is read for its digest alone; what is written is hashed on its way.
            found = self.stat(key)
            if found and found.size == _size(source):
                return measure(key, source)
        with _faults(f"cannot store {key}"):
            return self._write(target, lambda file: _copy(key, source, file))

    def join(self, key: str, keys: Sequence[str]) -> int:
        target = self._file(key)
        with _faults(f"cannot store {key}"), Joined(self.open(each) for each in keys) as source:
            return self._write(target, lambda file: _copy(key, cast(BinaryIO, source), file)).size

    def _write(self, target: Path, fill: Callable[[BinaryIO], Stored]) -> Stored:
        staged = self.root / _STAGING / secrets.token_hex(16)
        staged.parent.mkdir(parents=True, exist_ok=True)
        try:
            with staged.open("xb") as file:
                stored = fill(file)
                file.flush()
                os.fsync(file.fileno())
            self._make_directory(target.parent)
            staged.replace(target)
            _sync_directory(target.parent)
        finally:
            staged.unlink(missing_ok=True)
        return stored

    def _make_directory(self, directory: Path) -> None:
        if not directory.is_dir():
            self._make_directory(directory.parent)
            directory.mkdir(exist_ok=True)
            _sync_directory(directory.parent)

    def open(self, key: str, start: int = 0, end: int | None = None) -> Blob:
        check_range(start, end)
        path = self._file(key)
        with _faults(f"cannot read {key}"):
            try:
                file = path.open("rb")
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise NotFound(f"{key} is not stored") from None
            try:
                size = os.fstat(file.fileno()).st_size
                stop = size if end is None else min(end, size)
                file.seek(min(start, size))
            except BaseException:
                file.close()
                raise

        def read(count: int) -> bytes:
            with _faults(f"cannot read {key}"):
                return file.read(count)

        return Blob(key, max(stop - start, 0), read, file.close)

    def stat(self, key: str) -> Stat | None:
        path = self._file(key)
        with _faults(f"cannot read {key}"):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return Stat(found.st_size, found.st_mtime) if path.is_file() else None

    def delete(self, key: str) -> None:
        with _faults(f"cannot delete {key}"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._file(key).unlink()

    def list(self, prefix: str = "") -> Iterator[Entry]:
        with _faults("cannot list the storage"):
            yield from self._walk(self.root, "", prefix)

    def _walk(self, directory: Path, path: str, prefix: str) -> Iterator[Entry]:
        try:
            found = list(os.scandir(directory))
        except FileNotFoundError:
            return
        names = {entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""): entry for entry in found}
        for name in sorted(names):
            key = path + name
            if key.startswith(_STAGING) or not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(Path(names[name].path), key, prefix)
            elif key.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):
                    found_file = names[name].stat()
                    yield Entry(key, found_file.st_size, found_file.st_mtime)

    def url(
        self,
        key: str,
        *,
        expires_seconds: int,
        filename: str | None = None,
        content_type: str | None = None,
        method: Literal["GET", "HEAD"] = "GET",
    ) -> str | None:
        check_key(key)
        return None

    def path(self, key: str) -> Path | None:
        path = self._file(key)
        return path if path.is_file() else None

    def _file(self, key: str) -> Path:
        return self.root / check_key(key)


def _size(source: bytes | Path) -> int:
    if isinstance(source, bytes):
        return len(source)
    with _faults(f"cannot read {source}"):
        return source.stat().st_size


def _copy(key: str, source: Source, file: BinaryIO) -> Stored:
    if isinstance(source, bytes):
        stored = measure(key, source)
        file.write(source)
        return stored
    with contextlib.ExitStack() as stack:
        stream = HashingReader(key, stack.enter_context(source.open("rb")) if isinstance(source, Path) else source)
        while chunk := stream.read(CHUNK_BYTES):
            file.write(chunk)
        return stream.stored()


def _sync_directory(directory: Path) -> None:
    """The rename itself reaches the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _faults(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorldFault(f"{what}: {error.strerror or error}") from error

"""An environment's own Python, unpacked beside the archives, and a bounded process of it for each package.

The program is a stranger's: it gets an empty environment, no credentials, no right to write a file or (unless we are
root, whom the kernel does not count) to start a process, a limit for memory and time, and ends with us.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from condarium.conda.archive import File, Symlink, read_package
from condarium.conda.disk import exclusive
from condarium.conda.pieces.bytecode import Bytecode, Compile, Source
from condarium.conda.pieces.spool import Spool
from condarium.domain.lock import Record
from condarium.errors import InputFault, WorldFault

#: for one answer; the largest sources take a few seconds
ANSWER_SECONDS = 120.0
MEMORY_BYTES = 3 << 30
#: of one .pyc; the largest honest ones have a few megabytes
PYC_BYTES = 256 << 20
_CPU_SECONDS = 1800
_UNUSED_SECONDS = 30 * 86400
_DROPPED = ".dropped"
_COMPILER = Path(__file__).with_name("compiler.py")

# Run by our own Python, which then becomes theirs.
_LAUNCH = """
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(1, 9)
os.getppid() == int(sys.argv[1]) or os._exit(1)
limits = {"AS": int(sys.argv[2]), "CPU": int(sys.argv[3]), "FSIZE": 0, "CORE": 0, "NOFILE": 64, "NPROC": 0}
for name, limit in limits.items():
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))
os.execve(sys.argv[5], sys.argv[5:], {
    "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHOME": sys.argv[4], "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1",
})
"""


class CannotRun(InputFault):
    """This machine cannot run that Python, now or later: it is for another one, or no Python."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="link-failed")


def unpack(record: Record, archive: Path, directory: Path, spool_directory: Path | None = None) -> Path:
    """The prefix in `directory` with that python package alone; made once, and deleted when nobody used it for long.

    Raises InputFault for a malformed package, WorldFault for the disk.
    """
    prefix = directory / record.sha256
    with exclusive(directory / f".{record.sha256[:2]}.lock"):
        if prefix.is_dir():
            os.utime(prefix)
            return prefix
        _forget_unused(directory)
        staging = directory / f".{record.sha256}"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            with Spool(spool_directory) as spool:
                _write(read_package(archive, record.filename, spool).files, staging)
            staging.rename(prefix)
        except OSError as error:
            raise WorldFault(f"cannot unpack {record.filename}: {error.strerror or error}") from error
    return prefix


def _write(files: object, staging: Path) -> None:
    assert isinstance(files, dict)
    wanted = {name: file for name, file in files.items() if name.startswith(("bin/python", "lib/"))}
    staging.mkdir(parents=True)
    for name, file in wanted.items():
        path = staging / name
        if isinstance(file, File):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as sink:
                for chunk in file.content.chunks():
                    sink.write(chunk)
            path.chmod(0o755 if file.executable else 0o644)
    # Last, so that nothing is written through one.
    for name, file in wanted.items():
        if isinstance(file, Symlink) and not file.target.startswith("/"):
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                (staging / name).symlink_to(file.target)


def _forget_unused(directory: Path) -> None:
    for prefix in directory.glob("[0-9a-f]*"):
        with suppress(OSError):
            if time.time() - prefix.stat().st_mtime > _UNUSED_SECONDS:
                # In one step: half of it would be taken for the whole, by others and after a kill.
                prefix.rename(directory / f".{prefix.name}{_DROPPED}")
    for dropped in directory.glob(f".*{_DROPPED}"):
        shutil.rmtree(dropped, ignore_errors=True)


def probe(prefix: Path, bytecode: Bytecode) -> str:
    """The tag in the names of its files, as `cpython-311`. Raises CannotRun, WorldFault."""
    with _Running(prefix, bytecode) as running:
        return running.tag


def compile_by(prefix: Path, bytecode: Bytecode, tag: str) -> Compile:
    """How that Python, of which `probe` said `tag`, compiles: one process for all sources of a package."""

    def run(sources: Iterable[Source]) -> Iterator[bytes]:
        process: _Running | None = None
        try:
            for path, content in sources:
                process = process or _Running(prefix, bytecode)
                yield process.ask(path.encode("utf-8", "surrogateescape"), content.read(0, content.size))
        finally:
            if process is not None:
                process.close()

    return Compile(bytecode, tag, run)


class _Running:
    def __init__(self, prefix: Path, bytecode: Bytecode) -> None:
        limits = [str(os.getpid()), str(MEMORY_BYTES), str(_CPU_SECONDS), str(prefix)]
        program = [str(prefix / "bin" / "python"), "-S", str(_COMPILER)]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, *limits, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        try:
            self.tag = self._hello(bytecode)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "_Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, path: bytes, source: bytes) -> bytes:
        """Raises WorldFault where it does not answer in time, or ends; InputFault for an answer that is no .pyc."""
        assert self._process.stdin is not None
        try:
            for part in (len(path).to_bytes(4, "big"), len(source).to_bytes(4, "big"), path, source):
                view = memoryview(part)
                while view:
                    view = view[self._process.stdin.write(view) or 0 :]
        except BrokenPipeError:
            raise self._ended(path) from None
        size = int.from_bytes(self._read(4, path), "big")
        if size > PYC_BYTES:
            raise InputFault(
                f"the Python that compiles {path.decode('utf-8', 'replace')} answers with {size} bytes, and at most "
                f"{PYC_BYTES} are taken",
                reason="link-failed",
            )
        return self._read(size, path)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _hello(self, bytecode: Bytecode) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) < 200:
            try:
                line += self._read(1, b"nothing")
            except WorldFault:
                raise self._refused() from None
        version, _, tag = line.decode("ascii", "replace").strip().partition(" ")
        if version != bytecode.version or not tag.replace("-", "").isalnum():
            raise CannotRun(f"the package of Python {bytecode.version} says that it is {version} {tag}")
        return tag

    def _refused(self) -> CannotRun | WorldFault:
        status = self._process.poll()
        if status is None or status in (-signal.SIGKILL, -signal.SIGTERM):
            return WorldFault("an environment's Python did not start in time, or was killed")
        assert self._process.stderr is not None
        words = self._process.stderr.read(4000) or b""
        last = words.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        return CannotRun(f"its Python cannot be run here: {last or f'exit status {status}'}")

    def _read(self, size: int, path: bytes) -> bytes:
        assert self._process.stdout is not None
        source = self._process.stdout.fileno()
        data = bytearray()
        until = time.monotonic() + ANSWER_SECONDS
        while len(data) < size:
            ready, _, _ = select.select([source], [], [], max(0.0, until - time.monotonic()))
            chunk = os.read(source, size - len(data)) if ready else b""
            if not chunk:
                raise self._ended(path)
            data += chunk
        return bytes(data)

    def _ended(self, path: bytes) -> WorldFault:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        status = self._process.poll()
        how = "took too long over it" if status is None else f"ended with status {status}"
        return WorldFault(f"the Python that compiles {path.decode('utf-8', 'replace')} {how}")

"""What the link scripts of packages do to a prefix: run where a setting allows it, and shipped as a difference.

`run` starts a bounded process (`__main__`), which links the same packages twice, by copy, without scripts and with
them. What differs is the scripts' doing.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from condarium.conda.link_scripts.difference import difference
from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Spool
from condarium.domain.lock import Lock
from condarium.errors import InputFault, WorldFault

SECONDS = 900.0
_MEMORY_BYTES = 4 << 30
_FILE_BYTES = 4 << 30

# Run by our own Python, which then becomes the program: limits that a script cannot lift, and an end that is ours.
_LAUNCH = """
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(1, 9)
os.getppid() == int(sys.argv[1]) or os._exit(1)
for name, limit in (("DATA", int(sys.argv[2])), ("CPU", 900), ("FSIZE", int(sys.argv[3])), ("CORE", 0)):
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))
os.nice(5)
os.execv(sys.argv[4], sys.argv[4:])
"""


def run(
    lock: Lock,
    archives: Mapping[str, Path],
    directory: Path,
    spool: Spool,
    *,
    prefix: str,
    seconds: float = SECONDS,
) -> list[Laid]:
    """What the scripts of the lock's conda packages add, change and remove (as whiteouts), for `prefix`.

    `directory` is new and the caller's to remove. Contents are readable while `spool` is open.

    A script that fails has done what it did, as with rattler. Raises InputFault("link-failed") where they do not end
    within `seconds`, or break the linking; WorldFault for the disk.
    """
    directory.mkdir(parents=True)
    job = {"lock": lock.to_json(), "archives": {key: str(path) for key, path in archives.items()}, "prefix": prefix}
    (directory / "job.json").write_text(json.dumps(job))
    _run(directory, seconds)
    return difference(directory / "without", directory / "with", spool, prefix=prefix)


def _run(directory: Path, seconds: float) -> None:
    program = [sys.executable, "-m", "condarium.conda.link_scripts", str(directory)]
    limits = [str(os.getpid()), str(_MEMORY_BYTES), str(_FILE_BYTES)]
    words = directory / "words"
    try:
        with words.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCH, *limits, *program],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=_environment(directory),
                cwd=directory,
                start_new_session=True,
            )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise InputFault(f"link scripts did not end within {seconds:g} seconds", reason="link-failed") from None
        finally:
            # What a script left running goes too.
            _end_group(process.pid)
            process.wait()
    except OSError as error:
        raise WorldFault(f"link scripts cannot be run: {error.strerror or error}") from error
    if status != 0:
        tail = words.read_text(errors="replace").strip()[-2000:]
        raise InputFault(f"the link scripts failed (exit status {status}): {tail}", reason="link-failed")


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _environment(directory: Path) -> dict[str, str]:
    """Nothing of ours but where the code lies: no credential, no setting."""
    home = directory / "home"
    home.mkdir()
    return {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "315619200",
    }

"""Downloads wheels with pip, from whatever index pip is configured with."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from deploy.local.channel.command import last_words
from deploy.local.channel.problem import ChannelError

# No newer than the glibc that Condarium assumes by default, whatever this machine has: the same wheels everywhere.
_NEWEST_GLIBC = 28
_PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(_NEWEST_GLIBC, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
)


def download(pins: Sequence[str], minor: str, folder: Path) -> list[Path]:
    """Fetch the wheels of `pins` (`numpy==2.4.6`) for CPython `minor` ("3.11") into `folder`, in the order of names.

    Raises: ChannelError with pip's own last words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for batch in rounds(pins):
        _fetch(batch, minor, folder)
    return sorted(folder.glob("*.whl"))


def rounds(pins: Sequence[str]) -> list[list[str]]:
    """Split `pins` so that no round has two versions of one project, which pip takes for a contradiction.

    Raises: ChannelError when one of them is not of the form name==version.
    """
    batches: list[dict[str, str]] = []
    for pin in dict.fromkeys(pins):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_]+", pin):
            raise ChannelError(f"the wheel {pin!r} is not pinned; write it as name==version")
        name = canonicalize_name(pin.partition("==")[0])
        batch = next((batch for batch in batches if name not in batch), None)
        if batch is None:
            batches.append(batch := {})
        batch[name] = pin
    return [list(batch.values()) for batch in batches]


def _fetch(pins: list[str], minor: str, folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ChannelError(f"the sample channel needs pip; add it with: {sys.executable} -m ensurepip")
    tags = ["--abi", f"cp{minor.replace('.', '')}", "--abi", "abi3", "--abi", "none"]
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    words += ["--implementation", "cp", "--python-version", minor, *platforms, *tags, "--dest", str(folder), *pins]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode:
        errors = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("WARNING"))
        raise ChannelError(f"pip could not download the wheels for Python {minor}: {last_words(errors)}")

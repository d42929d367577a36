"""Running uv: as a process of its own that ends with ours, with its words kept."""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from condarium.errors import WorldFault


@dataclass(frozen=True)
class Finished:
    """How a run of uv ended; `words` is what it said on stderr."""

    status: int
    words: str


@dataclass(frozen=True)
class Uv:
    """`cache` has to lie on the store's file system, so that wheels are hard-linked.

    `index_url` may hold a credential: it goes through the environment, never through the command line, which
    everybody on the machine can read. Without it uv's own configuration of the machine applies.
    """

    cache: Path
    index_url: str | None = None

    async def run(self, arguments: Sequence[str], *, directory: Path, seconds: float) -> Finished:
        """Run `uv ARGUMENTS` in `directory`. Raises WorldFault where it does not end within `seconds`."""
        process = await asyncio.create_subprocess_exec(
            *_dies_with_us(),
            binary(),
            *arguments,
            cwd=directory,
            env=self._environment(directory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, words = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise WorldFault(f"uv did not finish within {seconds:g} seconds.") from None
        return Finished(process.returncode or 0, words.decode(errors="replace").strip())

    def _environment(self, directory: Path) -> Mapping[str, str]:
        environment = {
            **os.environ,
            "UV_CACHE_DIR": str(self.cache),
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_LINK_MODE": "hardlink",
            # The machine's authorities, as for channels; SSL_CERT_FILE still goes first.
            "UV_SYSTEM_CERTS": "true",
            "NO_COLOR": "1",
            "TMPDIR": str(directory),
        }
        # A virtual environment that we happen to run in is none of its business.
        for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME"):
            environment.pop(name, None)
        if self.index_url:
            for name in ("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_NO_INDEX"):
                environment.pop(name, None)
            environment["UV_DEFAULT_INDEX"] = self.index_url
        return environment


def binary() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else find_uv_bin()


def _dies_with_us() -> list[str]:
    """A process of uv must not outlive a killed child; the kernel sees to it where setpriv (util-linux) is there."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

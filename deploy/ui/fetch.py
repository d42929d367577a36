"""Fetches the package with npm, checks it, and keeps the few files that a browser needs."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@conda-store/conda-store-ui"
VERSION = "2024.11.1"
#: of the package's archive, in npm's form; npm checks what its registry says, this checks what we have tried
INTEGRITY = "sha512-E78O3ezyrzAyMPkydTvZJdpKj63kKtCKF6bSZ1R+x8olre8vTo/4LyZdlf6VAPebeNYqGos5ENcEJF6JYr9aRA=="
FILES = ("main.js", "main.css", "main.js.LICENSE.txt")
NPM_SECONDS = 120
#: typefaces of other people's servers: every visitor would be told to them, and a closed network has none
REMOTE_FONT = re.compile(r"@font-face\{[^}]*url\(https?:[^}]*\}")
SOURCE_MAP = re.compile(r"\n?(//#|/\*#) sourceMappingURL=\S+?( ?\*/)?\s*$")


class UiProblem(Exception):
    """The package cannot be had; the text says why and what to do."""


def fetch(directory: Path) -> None:
    """Makes `directory` with main.js, main.css and their licences. What is there already is replaced as a whole.

    Raises:
        UiProblem: no npm, no network, or another archive than the one that was tried.
    """
    with tempfile.TemporaryDirectory(prefix="condarium-ui-") as place:
        archive = _packed(Path(place))
        unfinished = directory.with_name(f".{directory.name}.{os.getpid()}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            _extract(archive, unfinished)
            if directory.exists():
                directory.rename(Path(place) / "before")
            unfinished.rename(directory)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _packed(place: Path) -> bytes:
    command = ["npm", "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts", "--pack-destination", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=NPM_SECONDS, cwd=place)
    except FileNotFoundError:
        raise UiProblem(f"npm, which fetches {PACKAGE}, is not installed; install it and run: make up") from None
    except subprocess.TimeoutExpired:
        raise UiProblem(f"npm did not fetch {PACKAGE} within {NPM_SECONDS} s") from None
    found = sorted(place.glob("*.tgz"))
    if done.returncode or not found:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UiProblem(f"npm could not fetch {PACKAGE} {VERSION}: {said[-1] if said else 'it did not say why'}")
    content = found[0].read_bytes()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != INTEGRITY:
        raise UiProblem(f"{PACKAGE} {VERSION} has the digest {digest}, not {INTEGRITY}; it is not used")
    return content


def _extract(archive: bytes, directory: Path) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            for name in FILES:
                member = tar.extractfile(f"package/dist/{name}")
                assert member is not None, "the digest says which files there are"
                text = member.read().decode()
                if name == "main.css":
                    text = REMOTE_FONT.sub("", text)
                (directory / name).write_text(SOURCE_MAP.sub("\n", text), encoding="utf-8")

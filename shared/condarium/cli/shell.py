"""An environment to work in: the store's own directory, or a tarball unpacked once for each build."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NoReturn

from condarium.cli.downloads import save
from condarium.cli.output import errors
from condarium.cli.session import find_build
from condarium.client import Client
from condarium.errors import InvalidInput


def local_prefix(store: str | None, namespace: str, name: str) -> Path | None:
    """Where the environment lies when the store (CONDARIUM_STORE) is on this machine."""
    if not store:
        return None
    link = Path(store) / namespace / "envs" / name
    # The version of this moment: a rollback while the shell is open does not change what it runs.
    return link.resolve() if link.is_dir() else None


def downloaded_prefix(client: Client, namespace: str, name: str) -> Path:
    """The environment's tarball, unpacked below the user's cache and made to fit its place."""
    build_id = find_build(client, f"{namespace}/{name}")
    key = str(client.build(build_id)["condarium"]["key"])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "condarium" / "environments"
    target: Path = cache / key
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".unpacking-") as scratch:
        archive, unpacked = Path(scratch) / "environment.tar.gz", Path(scratch) / "prefix"
        save(client, f"build/{build_id}/archive/", archive, {"format": "gz"}, 300, quiet=False)
        with tarfile.open(archive) as tar:
            # Debian 12's Python 3.11.2 does not know `filter=`; where it is known, names outside are refused.
            tar.extraction_filter = getattr(tarfile, "tar_filter", None)
            tar.extractall(unpacked)
        if not target.exists():
            unpacked.rename(target)
    try:
        subprocess.run([target / "bin" / "python", target / "bin" / "conda-unpack"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise InvalidInput(f"{namespace}/{name} could not be made to fit {target}: {error}") from None
    return target


def run(prefix: Path, label: str, command: list[str]) -> NoReturn:
    """Replaces this process by a shell, or by `command`, with the environment activated."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    environ = activated(prefix, label, dict(os.environ))
    scripts = sorted((prefix / "etc" / "conda" / "activate.d").glob("*.sh"))
    argv = command or [shell, "-i"]
    if not command and sys.stdin.isatty():
        errors.print(f"{label} in {prefix}; `exit` leaves it", markup=False, highlight=False, soft_wrap=True)
        environ["PS1"] = f"({label}) {environ.get('PS1', '$ ')}"
    if scripts:
        # Activation scripts are written for a POSIX shell, whatever the user's own is.
        sourced = "; ".join(f'. "{script}"' for script in scripts)
        argv = ["/bin/sh", "-c", f'{sourced}; exec "$@"', "sh", *argv]
    try:
        os.execvpe(argv[0], argv, environ)
    except FileNotFoundError:
        raise InvalidInput(f"{argv[0]!r} is not in {label} and not on PATH") from None


def activated(prefix: Path, label: str, environ: dict[str, str]) -> dict[str, str]:
    """`environ` as `conda activate` would leave it, but for the scripts."""
    state = prefix / "conda-meta" / "state"
    variables = json.loads(state.read_text()).get("env_vars", {}) if state.is_file() else {}
    return {
        **environ,
        **{name: str(value) for name, value in variables.items()},
        "PATH": f"{prefix}/bin:{environ.get('PATH', os.defpath)}",
        "CONDA_PREFIX": str(prefix),
        "CONDA_DEFAULT_ENV": label,
        "CONDA_SHLVL": "1",
    }

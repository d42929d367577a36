"""A process in an environment, as `conda activate` would leave it."""

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from condarium.cli.output import say
from condarium.errors import InvalidInput

#: says of a command that is not there what is said without activation scripts, too
_EXEC = """\
command -v "$1" >/dev/null || { echo "condarium: '$1' is not in $0 and not on PATH" >&2; exit 2; }
exec "$@"
"""


def local_prefix(store: str | None, namespace: str, name: str) -> Path | None:
    """Where the environment lies when the store (CONDARIUM_STORE) is on this machine."""
    if not store:
        return None
    link = Path(store) / namespace / "envs" / name
    # The version of this moment: a rollback while the shell is open does not change what it runs.
    return link.resolve() if link.is_dir() else None


def run(prefix: Path, label: str, command: list[str]) -> NoReturn:
    """Replaces this process by a shell, or by `command`, with the environment activated."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    environ = activated(prefix, label, dict(os.environ))
    scripts = sorted((prefix / "etc" / "conda" / "activate.d").glob("*.sh"))
    argv = command or [shell, "-i"]
    if not command and sys.stdin.isatty():
        say(f"{label} in {prefix}; `exit` leaves it")
        environ["PS1"] = f"({label}) {environ.get('PS1', '$ ')}"
    if scripts:
        # Activation scripts are written for a POSIX shell, whatever the user's own is.
        sourced = "; ".join(f'. "{script}"' for script in scripts)
        argv = ["/bin/sh", "-c", f"{sourced}; {_EXEC}", label, *argv]
    sys.stdout.flush()
    try:
        os.execvpe(argv[0], argv, environ)
    except FileNotFoundError:
        raise InvalidInput(f"{argv[0]!r} is not in {label} and not on PATH") from None
    except PermissionError:
        raise InvalidInput(f"{argv[0]!r} in {label} cannot be run: permission denied") from None


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

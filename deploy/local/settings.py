"""What the caller of `make up` asks for: `CONDARIUM_*` variables and the numbers of copies."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from condarium.config import PREFIX, check_all
from condarium.errors import ConfigError
from deploy.local.layout import Layout
from deploy.local.problem import LocalProblem

# Copies of each service, and the variable that asks for another number. HTTP services own a port each: one copy.
SCALED = {"builder": "BUILDERS", "packager": "PACKAGERS", "watcher": "WATCHERS"}
MOST_COPIES = 32
# The control socket of the supervisor lies in the data directory, and the kernel bounds a socket's path (108 bytes;
# supervisor adds a process id while it makes it). Prefixes lie there too and have a bound of their own.
LONGEST_DATA_PATH = 70


@dataclass(frozen=True)
class Settings:
    """`given` holds the caller's own CONDARIUM_* values as text, `copies` how many of each scaled service run."""

    layout: Layout
    given: Mapping[str, str]
    copies: Mapping[str, int]


def read(environ: Mapping[str, str], checkout: Path, environment_file: Path | None = None) -> Settings:
    """The settings of this call; `environment_file` is by default `.local/condarium.env` in the checkout.

    Raises:
        LocalProblem: a name that no service knows, a value that is not allowed, a data directory that cannot serve.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    try:
        check_all(given)
    except ConfigError as error:
        raise LocalProblem(str(error)) from error
    chosen = given.pop("CONDARIUM_DATA_DIR", None)
    data = Path(chosen) if chosen else default_data_directory(environ, checkout)
    if len(os.fsencode(data)) > LONGEST_DATA_PATH:
        raise LocalProblem(
            f"the data directory's path is longer than {LONGEST_DATA_PATH} bytes: {data}; "
            "set CONDARIUM_DATA_DIR to a shorter one"
        )
    if data == checkout or data in checkout.parents:
        raise LocalProblem(f"CONDARIUM_DATA_DIR={data} contains the checkout; choose a directory of its own")
    copies = {service: _copies(environ, variable) for service, variable in SCALED.items()}
    layout = Layout(data, checkout, environment_file or checkout / ".local/condarium.env")
    return Settings(layout, given, copies)


def default_data_directory(environ: Mapping[str, str], checkout: Path) -> Path:
    """Outside of the checkout, one for each checkout's path: `git clean` loses nothing, two clones don't meet."""
    # As root under /var/lib: the private Postgres is another user, who cannot look into root's home.
    if os.geteuid() == 0:
        parent = Path("/var/lib")
    else:
        home = environ.get("HOME") or os.path.expanduser("~")
        parent = Path(environ.get("XDG_DATA_HOME") or f"{home}/.local/share")
    digest = hashlib.sha256(os.fsencode(checkout)).hexdigest()[:8]
    return parent / "condarium" / f"{checkout.name[:20]}-{digest}"


def _copies(environ: Mapping[str, str], variable: str) -> int:
    text = environ.get(variable) or "1"
    if not text.isdecimal() or int(text) > MOST_COPIES:
        raise LocalProblem(f"{variable}={text} is not a number of copies from 0 to {MOST_COPIES}")
    return int(text)

"""Tells whether a channel is still what would be made now, without making it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.channel import debian
from deploy.local.channel.interpreter import Interpreter

FORMAT = 1  # of what lies in the directory, beyond what the sources of this package say


def fingerprint(pythons: Sequence[Interpreter], wheels: Iterable[str], debian_packages: Mapping[str, str]) -> str:
    """The sha256 (hex) over all that a channel is made from: wheels, interpreters, Debian's packages, our own code."""
    made_from = {
        "format": FORMAT,
        "code": _CODE,
        "wheels": sorted(wheels),
        "pythons": [[python.version, _digest(python.executable), _site_digest(python)] for python in pythons],
        "debian": dict(sorted(debian_packages.items())),
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions that these Debian packages have now; a package that is gone has an empty one."""
    return {name: debian.installed_version(name) or "" for name in names}


def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _site_digest(python: Interpreter) -> str:
    # A patch release of the distribution may touch the library and not the program.
    return _digest(python.stdlib / "site.py") + _digest(python.stdlib / "sysconfig.py")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


# Of the code that runs, not of what lies there once a long run is over.
_CODE = _sources()

"""The scripts of a relocatable tarball: conda-pack's own, with its program as data, and the environment's variables."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from condarium.conda.pieces.placement import Rewrite

_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Works from anywhere without activation: to sh the first lines find the Python beside the script, to Python they are a
# string. Without a Python of its own the environment is unpacked by the host's.
_SHEBANG = """\
#!/bin/sh
''':'
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
if [ -x "$here/python" ]; then exec "$here/python" "$here/conda-unpack" "$@"; fi
exec python3 "$here/conda-unpack" "$@"
'''"""


def environment_scripts(variables: Mapping[str, str], rewrites: Sequence[Rewrite]) -> dict[str, tuple[bytes, bool]]:
    """Content and whether it is executable, by path relative to the prefix."""
    scripts = {
        "bin/activate": (_posix("activate"), True),
        "bin/activate.fish": (_posix("activate.fish"), True),
        "bin/deactivate": (_posix("deactivate"), True),
        "bin/conda-unpack": (conda_unpack(rewrites), True),
        "bin/conda_unpack_progress.py": (_data("_progress.py"), False),
    }
    names = {name: value for name, value in sorted(variables.items()) if _SHELL_NAME.fullmatch(name)}
    if names:
        scripts |= {
            "etc/conda/activate.d/condarium-variables.sh": (_set_variables(names), False),
            "etc/conda/activate.d/condarium-variables.fish": (_set_variables_fish(names), False),
            "etc/conda/deactivate.d/condarium-variables.sh": (_unset_variables(names), False),
        }
    return scripts


def conda_unpack(rewrites: Sequence[Rewrite]) -> bytes:
    """conda-pack's program that replaces the placeholder by the directory it lies in; harmless when run twice."""
    records = ",\n".join(repr((rewrite.path, rewrite.placeholder, rewrite.mode)) for rewrite in rewrites)
    text: str = _template().format(
        shebang=_SHEBANG, prefix_records=records, prefixes_py=_data("prefixes.py").decode(), version=_version()
    )
    return text.encode()


@cache
def _template() -> Any:
    from conda_pack import core

    return core._conda_unpack_template


def _version() -> str:
    from conda_pack import __version__

    return str(__version__)


def _posix(name: str) -> bytes:
    return (resources.files("conda_pack") / "scripts" / "posix" / name).read_bytes()


def _data(name: str) -> bytes:
    return (resources.files("conda_pack") / name).read_bytes()


def _set_variables(variables: Mapping[str, str]) -> bytes:
    lines = []
    for name, value in variables.items():
        lines.append(f'if [ -n "${{{name}+set}}" ]; then export CONDARIUM_SAVED_{name}="${name}"; fi')
        lines.append(f"export {name}={_quoted(value)}")
    return ("\n".join(lines) + "\n").encode()


def _unset_variables(variables: Mapping[str, str]) -> bytes:
    lines = []
    for name in variables:
        saved = f"CONDARIUM_SAVED_{name}"
        lines.append(f'if [ -n "${{{saved}+set}}" ]; then')
        lines.append(f'    export {name}="${saved}"; unset {saved}')
        lines.append(f"else unset {name}; fi")
    return ("\n".join(lines) + "\n").encode()


def _set_variables_fish(variables: Mapping[str, str]) -> bytes:
    def quoted(value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return "".join(f"set -gx {name} {quoted(value)}\n" for name, value in variables.items()).encode()


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"

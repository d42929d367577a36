"""First lines of scripts: what rattler and uv write where a plain `#!/prefix/bin/python` would not work.

The kernel reads 127 bytes of a first line on Linux and splits at spaces. Beyond that Python scripts start as a shell
script that replaces itself by Python (to Python the same line is a string); other scripts ask env.
"""

import re

LINUX_LIMIT = 127
MACOS_LIMIT = 512

_SHEBANG = re.compile(r"#!(?: *)(/(?:\\ |[^ \n\r\t])*)(.*)\Z")
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?\Z")


def shebang_limit(platform: str) -> int:
    """The longest first line that works on `platform`, in bytes."""
    return MACOS_LIMIT if platform.startswith("osx") else LINUX_LIMIT


def replace_in_shebang(line: str, placeholder: str, prefix: str, limit: int) -> str:
    """The first line of a text file with the prefix replaced; `line` has no newline and starts with `#!`."""
    if " " in prefix:
        if placeholder not in line:
            return line
        return without_direct_path(line).replace(placeholder, prefix)
    line = line.replace(placeholder, prefix)
    return line if len(line.encode()) <= limit else without_direct_path(line)


def without_direct_path(line: str) -> str:
    """The form that works with any path: by the shell for Python, by env for others."""
    match = _SHEBANG.match(line)
    if not match:
        return line
    path, options = match[1], match[2]
    program = path.rsplit("/", 1)[-1]
    if _PYTHON.match(program):
        return f"#!/bin/sh\n'''exec' \"{path}\"{options} \"$0\" \"$@\" #'''"
    return f"#!/usr/bin/env {program}{options}"


def is_python_shebang(line: str) -> bool:
    match = _SHEBANG.match(line)
    return bool(match and _PYTHON.match(match[1].rsplit("/", 1)[-1]))


def entry_point_shebang(prefix: str, python_xy: str) -> str:
    """As rattler starts the commands of noarch packages."""
    python = f"{prefix}/bin/python{python_xy}"
    if len(python.encode()) > LINUX_LIMIT - 2 or " " in python:
        return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\" #'''"
    return f"#!{python}"


def wheel_shebang(prefix: str) -> str:
    """As uv starts the commands of wheels."""
    python = f"{prefix}/bin/python"
    if len(python.encode()) + 3 > LINUX_LIMIT or " " in python:
        quoted = python.replace("'", "'\"'\"'")
        return f"#!/bin/sh\n'''exec' '{quoted}' \"$0\" \"$@\"\n' '''"
    return f"#!{python}"

"""Runs in an environment's own Python, never in ours: makes unchecked hash-based .pyc files of sources on stdin.

It says a line `version tag`. Then, for each request (two big-endian lengths of 4 bytes, the file's path in the prefix,
its source), it answers a length and a .pyc; of length 0 for what does not compile. Ends with its stdin. Nothing of a
source is run. Needs Python 3.7.

What marshal writes hangs a little on what the process has compiled before: one process for one package, sources in the
order of compileall, and the bytes are the same again.
"""

import os
import sys

# What lies beside this file is not for this Python.
del sys.path[0]
sys.dont_write_bytecode = True

import importlib.util  # noqa: E402
from importlib._bootstrap_external import _code_to_hash_pyc  # type: ignore[attr-defined]  # noqa: E402

os.dup2(os.open(os.devnull, os.O_RDWR), 2)


def _read(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            os._exit(0)
        data += chunk
    return bytes(data)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _compiled(path: str, source: bytes) -> bytes:
    """What py_compile writes with UNCHECKED_HASH; nothing for what is no Python of this version."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=-1)
        return bytes(_code_to_hash_pyc(code, importlib.util.source_hash(source), False))
    except Exception:
        return b""


version = ".".join(map(str, sys.version_info[:3]))
_write(f"{version} {sys.implementation.cache_tag}\n".encode())
while True:
    lengths = _read(8)
    name = _read(int.from_bytes(lengths[:4], "big")).decode("utf-8", "surrogateescape")
    pyc = _compiled(name, _read(int.from_bytes(lengths[4:], "big")))
    _write(len(pyc).to_bytes(4, "big") + pyc)

"""What conda calls a Python package, and what PyPI calls it. Pure.

Most names are the same. The table holds those of conda-forge that differ and are common; a record's own `purls`
(package URLs) rule where a channel gives them.
"""

from collections.abc import Iterable

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from condarium.domain.lock import Record

_DIFFERENT = {
    "brotli-python": "brotli",
    "cupy-core": "cupy",
    "dask-core": "dask",
    "docker-py": "docker",
    "graphviz": None,
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "py-opencv": "opencv-python",
    "py-xgboost": "xgboost",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-build": "build",
    "python-duckdb": "duckdb",
    "python-flatbuffers": "flatbuffers",
    "python-graphviz": "graphviz",
    "python-kaleido": "kaleido",
    "python-tzdata": "tzdata",
    "python-xxhash": "xxhash",
    "pytorch": "torch",
    "redis-py": "redis",
    "tensorflow-base": "tensorflow",
    "tzdata": None,
}


def pypi_names(record: Record) -> tuple[str, ...]:
    """The distributions that the conda package brings into site-packages; none where it is no Python package."""
    purls = [str(purl) for purl in record.raw.get("purls") or ()]
    named = [
        purl.removeprefix("pkg:pypi/").split("@")[0].split("?")[0] for purl in purls if purl.startswith("pkg:pypi/")
    ]
    if named:
        return tuple(str(canonicalize_name(name)) for name in named)
    if record.name in _DIFFERENT:
        different = _DIFFERENT[record.name]
        return (different,) if different else ()
    needs = {dependency.split()[0] for dependency in record.depends if dependency.strip()}
    if record.name != "python" and ("python" in needs or "python_abi" in needs):
        return (str(canonicalize_name(record.name)),)
    return ()


def provided(records: Iterable[Record]) -> dict[str, str]:
    """PyPI name -> version of all that conda brings; without versions that PyPI could not have."""
    found: dict[str, str] = {}
    for record in records:
        try:
            version = str(Version(record.version))
        except InvalidVersion:
            continue
        for name in pypi_names(record):
            found[name] = version
    return found

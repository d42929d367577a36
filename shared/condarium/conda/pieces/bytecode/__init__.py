"""`.pyc` files for what a package lays: made by the environment's own Python, the same bytes on every machine.

Unchecked hash-based ones (PEP 552): they hold no time, and Python believes them without looking at the source, whose
date in a layer is not the one that a package's own .pyc state.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from posixpath import basename, dirname

from condarium.conda.pieces.placement import Destination, Laid, Placement
from condarium.conda.pieces.spool import Content, Spool
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock, Record, Wheel

# Goes up whenever other files are compiled, or in another way.
BYTECODE_FORMAT = 1
#: a larger source is data; Python reads it without a .pyc
SOURCE_BYTES = 32 << 20

Source = tuple[str, Content]
"""A path in the prefix, absolute, and what lies there."""

_PYTHON = re.compile(r"python(?![\w.-])")


@dataclass(frozen=True)
class Bytecode:
    """Which Python compiles: its exact version, because releases differ in some files, and its flavour, as `cpython` or
    `cp313t`.
    """

    version: str
    flavour: str

    @classmethod
    def of(cls, lock: Lock) -> "Bytecode | None":
        """None for an environment without Python, or with one that knows no such files (before 3.7)."""
        record = next((record for record in lock.conda if record.name == "python"), None)
        return None if record is None else cls.by(record)

    @classmethod
    def by(cls, record: Record) -> "Bytecode | None":
        """What the package `python` makes."""
        if _numbers(record.version) < (3, 7):
            return None
        flavour = record.build.rsplit("_", 1)[-1]
        return cls(record.version, flavour if not flavour.isdigit() else "cpython")

    @property
    def identity(self) -> list[object]:
        return ["pyc", BYTECODE_FORMAT, self.version, self.flavour]

    def concerns(self, member: Member) -> bool:
        """Whether a package may hold Python: it is for Python, or needs it."""
        if isinstance(member, Wheel) or member.is_noarch_python or member.name == "python":
            return True
        return any(_PYTHON.match(spec.split("::")[-1]) for spec in member.depends)


@dataclass(frozen=True)
class Compile:
    """`run` answers each source with its .pyc, or nothing where it does not compile; `tag` is as `cpython-311`."""

    bytecode: Bytecode
    tag: str
    run: Callable[[Iterable[Source]], Iterator[bytes]]


def with_bytecode(placement: Placement, destination: Destination, spool: Spool, by: Compile) -> Placement:
    """The placement with a .pyc for each source in Python's own library and its site-packages, as compileall has it.

    A .pyc that a package brings itself is replaced. Raises what `by.run` raises.
    """
    root = f"{dirname(destination.site_packages or '')}/"
    sources = [item for item in placement.laid if item.path.startswith(root) and _is_source(item)]
    sources.sort(key=lambda item: item.path.split("/"))
    compiled = by.run((f"{destination.prefix}/{item.path}", item.content) for item in sources if item.content)
    added: dict[str, Laid] = {}
    for item, pyc in zip(sources, compiled, strict=True):
        if pyc:
            path = f"{dirname(item.path)}/__pycache__/{basename(item.path)[:-3]}.{by.tag}.pyc"
            added[path] = Laid(path, spool.add(io.BytesIO(pyc), path))
    kept = (item for item in placement.laid if item.path not in added)
    return replace(placement, laid=(*kept, *added.values()))


def _is_source(item: Laid) -> bool:
    return item.path.endswith(".py") and item.content is not None and item.content.size <= SOURCE_BYTES


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())

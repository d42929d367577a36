"""The layers of one lock's image: of packages, of groups, and the one over all; each made once in the installation."""

import io
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from condarium.conda.pieces.bytecode import Bytecode
from condarium.conda.pieces.layer import by_name, layer_key
from condarium.conda.pieces.top_layer import Correction, make_top_layer, shared_paths, top_layer_key, wrong_paths
from condarium.database import interpreters
from condarium.database import pieces as piece_rows
from condarium.database.garbage import marks
from condarium.database.interpreters import Probed
from condarium.database.pieces import Known
from condarium.domain.canonical import canonical_hash
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock, Record
from condarium.storage import blob_key
from services.packager import pieces
from services.packager.children import Desk
from services.packager.handlers import Work
from services.packager.jobs import Compression, JoinJob, PieceJob, ProbeJob, Python, StoredPart, TopJob

Lost = Callable[[], bool]

#: whose programs run on this machine
HOST = {"aarch64": "linux-aarch64", "arm64": "linux-aarch64"}.get(platform.machine().lower(), "linux-64")


@dataclass(frozen=True)
class Compiling:
    """How .pyc files are made for a lock: by `python`, or not at all; `note` says to people why not.

    `identity` is what decides bytes by it: part of what an image is known by.
    """

    python: Python | None = None
    note: str | None = None

    @property
    def bytecode(self) -> Bytecode | None:
        return self.python.bytecode if self.python else None

    @property
    def identity(self) -> list[object] | None:
        return self.python.bytecode.identity if self.python else None


@dataclass(frozen=True)
class Layers:
    """`groups` are the layers of the plan's groups, bottom first; `top` lies over them.

    Details of each: diff_id, raw_size, link_scripts (in the prefix). `link_scripts` are all of them that were not run.
    """

    groups: tuple[Known, ...]
    top: Known
    link_scripts: tuple[str, ...] = ()


def choose_python(work: Work, children: Desk, lock: Lock, locks: Mapping[str, Lock]) -> Compiling:
    """The lock's own Python where it runs here, else one of the same version out of the build's other `locks`, or of
    any lock that takes it from the same channel.

    Known ones cost a look at a row. Raises WorldFault, Unavailable, and InputFault for a malformed package.
    """
    bytecode = Bytecode.of(lock)
    if bytecode is None:
        return Compiling()
    refusal = ""
    for record in _candidates(work, lock, locks):
        probed = _probed(work, children, record, bytecode)
        if probed.tag:
            return Compiling(Python(record, bytecode, probed.tag))
        refusal = probed.refusal or ""
    why = refusal or f"this machine ({HOST}) has no Python {bytecode.version} at hand"
    return Compiling(None, f"without .pyc files: {why}")


def _candidates(work: Work, lock: Lock, locks: Mapping[str, Lock]) -> Iterator[Record]:
    """Packages of that Python for this machine; the database is asked last."""
    wanted = Bytecode.of(lock)
    for record in (_python(lock), *(_python(locks[name]) for name in sorted(locks))):
        if record is not None and record.subdir == HOST and Bytecode.by(record) == wanted:
            yield record
    with work.database.transaction() as session:
        older = interpreters.of_a_lock(session, lock.python_version or "", platform=HOST, channels=lock.channels)
    if older is not None and Bytecode.by(older) == wanted:
        yield older


def _python(lock: Lock) -> Record | None:
    return next((record for record in lock.conda if record.name == "python"), None)


def _probed(work: Work, children: Desk, record: Record, bytecode: Bytecode) -> Probed:
    with work.database.transaction() as session:
        known = interpreters.find(session, record.sha256, HOST)
    if known is None:
        result = children.run(ProbeJob(record, bytecode))
        known = Probed(result.get("tag"), result.get("refusal"))
        with work.database.transaction() as session:
            interpreters.record(session, record.sha256, HOST, known)
    return known


def ensure_layers(
    work: Work,
    children: Desk,
    lock: Lock,
    groups: Sequence[Sequence[Member]],
    *,
    compression: Compression = "gzip",
    compiling: Compiling,
    lost: Lost,
) -> Layers:
    """All layers of an image of `lock` but the base's; `groups` as `plan_layers` gives them.

    Where everything is known, this is two queries. Raises what `pieces.ensure` raises.
    """
    return _Laying(work, children, lock, groups, compression, compiling, lost).run()


class _Laying:
    def __init__(
        self,
        work: Work,
        children: Desk,
        lock: Lock,
        groups: Sequence[Sequence[Member]],
        compression: Compression,
        compiling: Compiling,
        lost: Lost,
    ) -> None:
        self._work = work
        self._children = children
        self._lock = lock
        self._groups = [by_name(group) for group in groups]
        self._compression = compression
        self._compiling = compiling
        self._lost = lost
        self._found: dict[str, Known] = {}
        self._paths: dict[str, bytes] = {}

    def run(self) -> Layers:
        keys = [self._key(group) for group in self._groups]
        self._look(keys)
        missing = [group for key, group in zip(keys, self._groups, strict=True) if key not in self._found]
        # The layer of a group comes out of its members': first those, the biggest ahead of all others.
        self._ensure_members([member for group in missing for member in group])
        self._ensure_groups([group for group in missing if len(group) > 1])
        tables = [self._tables(key) for key in keys]
        wrong = wrong_paths(self._lock, self._groups, tables)
        self._ensure_members([member for member, _ in wrong])
        scripts = tuple(script for key in keys for script in self._found[key].details["link_scripts"])
        runs = bool(scripts and self._lock.options.get("link_scripts"))
        top = self._top(wrong, runs=runs)
        return Layers(tuple(self._found[key] for key in keys), top, () if runs else scripts)

    def _key(self, group: Sequence[Member]) -> str:
        return layer_key(self._lock, group, compression=self._compression, bytecode=self._compiling.bytecode)

    def _look(self, keys: Sequence[str]) -> None:
        keys = [key for key in keys if key not in self._found or key not in self._paths]
        if keys:
            with self._work.database.transaction() as session:
                self._found |= piece_rows.known(session, keys)
                self._paths |= piece_rows.paths(session, keys)

    def _ensure(self, wanted: Mapping[str, pieces.Making]) -> None:
        database = self._work.database
        self._found |= pieces.ensure(database, self._children, wanted, self._found, lost=self._lost)
        self._look(list(wanted))

    def _ensure_members(self, members: Sequence[Member]) -> None:
        keys = {self._key([member]): member for member in members}
        self._look(list(keys))
        self._ensure({key: self._job([member]) for key, member in keys.items() if key not in self._found})

    def _ensure_groups(self, groups: Sequence[Sequence[Member]]) -> None:
        wanted: dict[str, pieces.Making] = {}
        for group in groups:
            parts = [self._part(member) for member in group]
            clash = shared_paths([part.paths for part in parts])
            wanted[self._key(group)] = self._job(group) if clash else JoinJob(parts, self._compression)
        self._ensure(wanted)

    def _job(self, members: Sequence[Member]) -> PieceJob:
        python = self._compiling.python
        concerned = python is not None and any(python.bytecode.concerns(member) for member in members)
        return PieceJob("layer", self._lock, list(members), self._compression, python if concerned else None)

    def _part(self, member: Member) -> StoredPart:
        key = self._key([member])
        known = self._found[key]
        return StoredPart(known.digest, known.size, known.details, self._paths[key])

    def _tables(self, key: str) -> list[bytes]:
        """The paths of each member of a layer."""
        paths, tables, start = self._paths[key], [], 0
        for count in self._found[key].details["counts"]:
            tables.append(paths[start : start + 8 * count])
            start += 8 * count
        return tables

    def _top(self, wrong: Sequence[tuple[Member, tuple[int, ...]]], *, runs: bool) -> Known:
        corrections = [Correction(self._key([member]), paths) for member, paths in wrong]
        scripts = script_key(self._lock) if runs else None
        key = top_layer_key(self._lock, compression=self._compression, corrections=corrections, scripts=scripts)
        self._look([key])
        if key in self._found:
            return self._found[key]
        if wrong or runs:
            parts = [(self._part(member), paths) for member, paths in wrong]
            self._ensure({key: TopJob(self._lock, parts, runs, self._compression)})
            return self._found[key]
        return self._small_top(key)

    def _small_top(self, key: str) -> Known:
        """A few kB: made here, quicker than asking a child."""
        sink = io.BytesIO()
        made = make_top_layer(self._lock, sink=sink, compression=self._compression)
        self._work.storage.put(blob_key(made.digest), sink.getvalue())
        details = asdict(made)
        paths = details.pop("paths")
        top = Known(key, details.pop("digest"), details.pop("size"), details)
        with self._work.database.transaction() as session:
            piece_rows.record(session, top, kind="layer", paths=paths)
            marks.check(session, lambda key: self._work.storage.stat(key) is not None)
        return top


def script_key(lock: Lock) -> str:
    """What link scripts see: all packages, in the order in which they are linked."""
    return canonical_hash(["scripts", [record.sha256 for record in lock.conda], dict(lock.variables)])

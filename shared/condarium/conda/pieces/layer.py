"""One OCI layer out of the archive of one package, and of a group out of its members' layers: same bytes everywhere.

A layer is three gzip members (or zstd frames) one after the other: its directories, everything else, the end of the
archive. The first two know nothing of other packages: the layer of a group is the directories of all its members, once
each, then the second parts of its members' layers as they are stored, then the end. How a packager's child process
makes an image of `lock` (plain functions, nothing global, one process per core):

    for members in plan_layers(lock, budget=40, base_layers=1):    domain.image.plan: which packages share a layer
        for member in members:
            key = layer_key(lock, [member])                        recorded under `key`? then its LayerResult is known
            result = make_layer(lock, [member], archives, sink=sink, spool_directory=directory)
        key = layer_key(lock, members)                             more than one?
        result = join_layers(parts, sink=sink)                     `parts` read the members' layers out of storage
    top = make_top_layer(lock, sink=sink)                          top_layer: a few kB, known by top_layer_key(lock)
    image = render_image(lock, base, layers)                       domain.image: config and manifests, pure

Layers may be made in any order and by several processes; the image has them in the order of the plan, the top layer
last.

`archives` gives the verified archive of each member by its sha256. Nothing of a package is run.
"""

import hashlib
import io
import sys
import tarfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from condarium.conda.archive import read_package
from condarium.conda.pieces.bytecode import Bytecode, Compile, with_bytecode
from condarium.conda.pieces.codec import Compression, codec, compressed
from condarium.conda.pieces.placement import Destination, Laid, Placement, place_package
from condarium.conda.pieces.prefix_record import record_identity
from condarium.conda.pieces.spool import Spool
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, PackedStream, Sink, entry_chunks, placed, portions
from condarium.conda.wheels.placing import place_wheel
from condarium.domain.canonical import canonical_hash
from condarium.domain.image import PREFIX
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock, Wheel

# Goes up whenever the bytes of a layer change for an unchanged package.
LAYER_FORMAT = 2

Archives = Mapping[str, Path | BinaryIO]


@dataclass(frozen=True)
class LayerResult:
    """`digest` and `diff_id` are sha256 in hex, of the stored bytes and of the tar; sizes in bytes.

    `link_scripts` are scripts of the members that an installer might have run: they are in the layer, and were not run.
    `head` is the length in bytes of the packed directories. `paths` holds `path_number`s, sorted, of everything besides
    directories, as little-endian numbers of 8 bytes: those of each member, `counts` of them, by the members' names.
    """

    digest: str
    diff_id: str
    size: int
    raw_size: int
    link_scripts: tuple[str, ...] = ()
    head: int = 0
    counts: tuple[int, ...] = ()
    paths: bytes = b""


@dataclass(frozen=True)
class Part:
    """A member's layer as it is stored: `open` reads its bytes `start` to `end`; the rest as in its LayerResult."""

    open: Callable[[int, int], Iterator[bytes]]
    size: int
    head: int
    result: LayerResult


def layer_key(
    lock: Lock,
    members: Sequence[Member],
    prefix: str = PREFIX,
    compression: Compression = "gzip",
    bytecode: Bytecode | None = None,
) -> str:
    """sha256 in hex of everything that decides a layer's bytes; known without any archive.

    Members of a group go by their names, so that the same ones share a layer whatever else an environment holds.
    """
    destination = Destination.of(lock, prefix)
    parts = [_identity(member, destination, bytecode) for member in by_name(members)]
    return canonical_hash(["layer", LAYER_FORMAT, codec(compression).key, prefix, destination.platform, parts])


def by_name(members: Iterable[Member]) -> list[Member]:
    """The order of members within a layer."""
    return sorted(members, key=lambda member: (isinstance(member, Wheel), member.name))


def _identity(member: Member, destination: Destination, bytecode: Bytecode | None) -> list[object]:
    identity: list[object] = list(member_identity(member, destination))
    if bytecode is not None and bytecode.concerns(member):
        identity.append(bytecode.identity)
    return identity


def member_identity(member: Member, destination: Destination) -> list[str | None]:
    """What decides the bytes of one package in a given kind of piece: Python's version only where the package depends
    on it.
    """
    python = [destination.python_xy, destination.site_packages]
    if isinstance(member, Wheel):
        return ["wheel", member.sha256, member.filename, *python]
    identity: list[str | None] = ["conda", member.sha256, record_identity(member)]
    return [*identity, *python] if member.is_noarch_python else identity


def make_layer(
    lock: Lock,
    members: Sequence[Member],
    archives: Archives,
    *,
    sink: Sink,
    prefix: str = PREFIX,
    compression: Compression = "gzip",
    spool_directory: Path | None = None,
    bytecode: Compile | None = None,
) -> LayerResult:
    """Write the layer of `members` to `sink` in one pass; of a path of two of them the last one's by name stays.

    `bytecode` makes .pyc files of those members that hold Python.

    Raises InputFault for a malformed package, WorldFault when the disk fails, KeyError for an archive that was not
    given.
    """
    destination = Destination.of(lock, prefix)
    with Spool(spool_directory) as spool:  # one for all: the memory it takes does not grow with the group
        placements = []
        for member in by_name(members):
            placement = place_member(member, archives[member.sha256], destination, spool)
            if bytecode is not None and bytecode.bytecode.concerns(member):
                placement = with_bytecode(placement, destination, spool, bytecode)
            placements.append(placement)
        return write_layer(placements, prefix, sink, compression)


def place_member(member: Member, archive: Path | BinaryIO, destination: Destination, spool: Spool) -> Placement:
    """A conda package or a wheel, laid; contents are readable while `spool` is open."""
    if isinstance(member, Wheel):
        return place_wheel(archive, member, destination, spool)
    return place_package(read_package(archive, member.filename, spool), member, destination)


def write_layer(
    placements: Sequence[Placement], prefix: str, sink: Sink, compression: Compression = "gzip"
) -> LayerResult:
    """The three parts of a layer, whose `counts` and `paths` are those of the `placements`, in their order."""
    entries = placed((item for placement in placements for item in placement.laid), prefix.strip("/"))
    stream = PackedStream(sink, codec(compression))
    directories = [path for path, item in entries.items() if _is_directory(item)]
    head = _write_directories(stream, {path: entries[path] for path in directories})
    for path in sorted(entries.keys() - set(directories)):
        for chunk in entry_chunks(path, entries[path]):
            stream.write(chunk)
    tables = [paths_of(placement.laid) for placement in placements]
    scripts = (script for placement in placements for script in placement.link_scripts)
    return _finish(stream, head, scripts, [len(table) // 8 for table in tables], b"".join(tables))


def join_layers(
    parts: Sequence[Part], *, sink: Sink, prefix: str = PREFIX, compression: Compression = "gzip"
) -> LayerResult:
    """The layer of a group out of its members' layers, which are given by the members' names and share no path.

    Raises what the parts' `open` raises.
    """
    end = len(_end(compression))
    stream = PackedStream(sink, codec(compression))
    directories: dict[str, Laid] = {}
    for part in parts:
        directories |= _directories(b"".join(part.open(0, part.head)), compression)
    head = _write_directories(stream, directories)
    for part in parts:
        stream.take_packed(part.open(part.head, part.size - end))
    results = [part.result for part in parts]
    scripts = (script for result in results for script in result.link_scripts)
    counts = [count for result in results for count in result.counts]
    return _finish(stream, head, scripts, counts, b"".join(result.paths for result in results))


def unpacked(part: Part, compression: Compression = "gzip") -> Iterator[bytes]:
    """The tar entries of a layer besides its directories."""
    unpacker = codec(compression).unpack()
    for portion in portions(part.open(part.head, part.size - len(_end(compression)))):
        yield unpacker.decompress(portion)


def path_number(path: str) -> int:
    """Stands for a path relative to the prefix: 8 bytes of its sha256, so that a clash of two is next to impossible."""
    return int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "little")


def paths_of(laid: Iterable[Laid]) -> bytes:
    numbers = array("Q", sorted({path_number(item.path) for item in laid if not _is_directory(item)}))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _is_directory(item: Laid) -> bool:
    return item.content is None and item.target is None


def _write_directories(stream: PackedStream, directories: Mapping[str, Laid]) -> int:
    for path in sorted(directories):
        for chunk in entry_chunks(path, directories[path]):
            stream.write(chunk)
    return stream.cut()


def _directories(head: bytes, compression: Compression) -> dict[str, Laid]:
    raw = codec(compression).unpack().decompress(head)
    with tarfile.open(fileobj=io.BytesIO(raw + END_OF_ARCHIVE), encoding="utf-8") as tar:
        return {member.name: Laid(member.name, mode=member.mode) for member in tar}


def _end(compression: Compression) -> bytes:
    """The last part of every layer."""
    return compressed(codec(compression), END_OF_ARCHIVE)


def _finish(
    stream: PackedStream, head: int, scripts: Iterable[str], counts: Iterable[int], paths: bytes
) -> LayerResult:
    stream.cut()
    stream.write(END_OF_ARCHIVE)
    made = stream.close()
    return LayerResult(
        made.digest, made.diff_id, made.size, made.raw_size, tuple(sorted(scripts)), head, tuple(counts), paths
    )

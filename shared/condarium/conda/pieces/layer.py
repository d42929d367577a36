"""One OCI layer out of the archives of one package, or of the few packages of a group: same bytes on every machine.

How a packager's child process makes an image of `lock` (plain functions, nothing global, one process per core):

    for members in plan_layers(lock, budget=40, base_layers=1):    domain.image.plan: which packages share a layer
        key = layer_key(lock, members)                             recorded under `key`? then its LayerResult is known
        with open(staging, "wb") as sink:
            result = make_layer(lock, members, archives, sink=sink, spool_directory=directory)
        storage.put(f"blobs/sha256/{result.digest}", staging)      then record `key` -> result
    with open(staging, "wb") as sink:
        top = make_top_layer(lock, sink=sink)                      a few kB; put and recorded under top_layer_key(lock)
    image = render_image(lock, base, layers)                       domain.image: config and manifests, pure

Layers may be made in any order and by several processes; the image has them in the order of the plan, the top layer
last.

`archives` gives the verified archive of each member by its sha256. Nothing of a package is run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from condarium.conda.archive import read_package
from condarium.conda.pieces.codec import Compression, codec
from condarium.conda.pieces.placement import Destination, Laid, Placement, place_package
from condarium.conda.pieces.prefix_record import history, record_identity, state
from condarium.conda.pieces.spool import Literal, Spool
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, PackedStream, Sink, tar_chunks
from condarium.conda.wheels.placing import place_wheel
from condarium.domain.canonical import canonical_hash
from condarium.domain.image import PREFIX
from condarium.domain.link_order import Member, in_link_order
from condarium.domain.lock import Lock, Wheel

# Goes up whenever the bytes of a layer change for an unchanged package.
LAYER_FORMAT = 1

Archives = Mapping[str, Path | BinaryIO]


@dataclass(frozen=True)
class LayerResult:
    """`digest` and `diff_id` are sha256 in hex, of the stored bytes and of the tar; sizes in bytes.

    `link_scripts` are scripts of the members that an installer might have run: they are in the layer, and were not run.
    """

    digest: str
    diff_id: str
    size: int
    raw_size: int
    link_scripts: tuple[str, ...] = ()


def layer_key(lock: Lock, members: Sequence[Member], prefix: str = PREFIX, compression: Compression = "gzip") -> str:
    """sha256 in hex of everything that decides a layer's bytes; known without any archive."""
    destination = Destination.of(lock, prefix)
    parts = [member_identity(member, destination) for member in in_link_order(lock, members)]
    return canonical_hash(["layer", LAYER_FORMAT, codec(compression).key, prefix, destination.platform, parts])


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
) -> LayerResult:
    """Write the layer of `members` to `sink` in one pass.

    Raises InputFault for a malformed package, WorldFault when the disk fails, KeyError for an archive that was not
    given.
    """
    destination = Destination.of(lock, prefix)
    with Spool(spool_directory) as spool:  # one for all: the memory it takes does not grow with the group
        placements = [
            place_member(member, archives[member.sha256], destination, spool) for member in in_link_order(lock, members)
        ]
        laid = [item for placement in placements for item in placement.laid]
        scripts = tuple(sorted(script for placement in placements for script in placement.link_scripts))
        return _write(laid, prefix, sink, compression, scripts)


def place_member(member: Member, archive: Path | BinaryIO, destination: Destination, spool: Spool) -> Placement:
    """A conda package or a wheel, laid; contents are readable while `spool` is open."""
    if isinstance(member, Wheel):
        return place_wheel(archive, member, destination, spool)
    return place_package(read_package(archive, member.filename, spool), member, destination)


def top_layer_key(lock: Lock, prefix: str = PREFIX, compression: Compression = "gzip") -> str:
    files = {item.path: item.content.read(0, item.content.size).decode() for item in _top(lock) if item.content}
    return canonical_hash(["top", LAYER_FORMAT, codec(compression).key, prefix, files])


def make_top_layer(lock: Lock, *, sink: Sink, prefix: str = PREFIX, compression: Compression = "gzip") -> LayerResult:
    """The layer that belongs to the environment itself: requested specs and variables, where conda looks for them."""
    return _write(_top(lock), prefix, sink, compression, ())


def _top(lock: Lock) -> list[Laid]:
    laid = [Laid("conda-meta/history", Literal(history(lock)))]
    if lock.variables:
        laid.append(Laid("conda-meta/state", Literal(state(lock.variables))))
    return laid


def _write(
    laid: Sequence[Laid], prefix: str, sink: Sink, compression: Compression, scripts: tuple[str, ...]
) -> LayerResult:
    stream = PackedStream(sink, codec(compression))
    for chunk in tar_chunks(laid, prefix.strip("/")):
        stream.write(chunk)
    stream.write(END_OF_ARCHIVE)
    written = stream.close()
    return LayerResult(written.digest, written.diff_id, written.size, written.raw_size, scripts)

"""One compressed tar member of a relocatable tarball, out of the archive of one package: the placeholder prefix is
kept.

gzip members and zstd frames may be concatenated, and so may tars without their end: a tarball is an ordered list of
stored members, one per package and a last one that belongs to the environment. How a packager's child process makes it:

    for package in link_order(lock):                               domain.link_order: a path of two packages is the
    later one's     key = member_key(lock, package, "gzip")                    recorded under `key`? then its
    MemberResult is known     with open(staging, "wb") as sink:
            result = make_member(lock, package, archive, sink=sink, compression="gzip", spool_directory=directory)
        storage.put(f"blobs/sha256/{result.digest}", staging)      then record `key` -> result, with its rewrites
    rewrites = [rewrite for result in results for rewrite in result.rewrites]
    with open(staging, "wb") as sink:
        top = make_top_member(lock, rewrites, sink=sink, compression="gzip")
    tarball = MemberList(tuple(StoredMember(r.digest, r.size) for r in [*results, top]))    domain.archive

Who unpacks it gets what conda-pack users know: `bin/activate`, `bin/deactivate` and `bin/conda-unpack`, which puts the
real prefix where the placeholder stands. Nothing of a package is run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from condarium.conda.pieces.codec import Compression, codec
from condarium.conda.pieces.layer import member_identity, place_member
from condarium.conda.pieces.pack_scripts import environment_scripts
from condarium.conda.pieces.placement import Destination, Laid, Rewrite
from condarium.conda.pieces.prefix_record import history, state
from condarium.conda.pieces.spool import Literal, Spool
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, PackedStream, Sink, tar_chunks
from condarium.domain.canonical import canonical_hash
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock
from condarium.errors import InputFault

# Goes up whenever the bytes of a member change for an unchanged package, or what is known of them.
MEMBER_FORMAT = 2


@dataclass(frozen=True)
class MemberResult:
    """`digest` is the sha256 of the stored bytes in hex, sizes are in bytes; `rewrites` are what conda-unpack has to
    do.
    """

    digest: str
    size: int
    raw_size: int
    rewrites: tuple[Rewrite, ...] = ()
    link_scripts: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "MemberResult":
        rewrites = tuple(Rewrite.from_json(rewrite) for rewrite in data["rewrites"])
        return cls(data["digest"], data["size"], data["raw_size"], rewrites, tuple(data["link_scripts"]))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def member_key(lock: Lock, member: Member, compression: Compression = "gzip") -> str:
    """sha256 in hex of everything that decides a member's bytes; known without the archive."""
    destination = Destination.of(lock, None)
    identity = member_identity(member, destination)
    return canonical_hash(["member", MEMBER_FORMAT, codec(compression).key, destination.platform, identity])


def make_member(
    lock: Lock,
    member: Member,
    archive: Path | BinaryIO,
    *,
    sink: Sink,
    compression: Compression = "gzip",
    spool_directory: Path | None = None,
) -> MemberResult:
    """Write the member to `sink` in one pass.

    Raises InputFault for a malformed package or a platform without tarballs, WorldFault when the disk fails.
    """
    if lock.platform.startswith("win-"):
        raise InputFault("tarballs are made for Linux and macOS, not for Windows", reason="no-tarball-for-platform")
    with Spool(spool_directory) as spool:
        placement = place_member(member, archive, Destination.of(lock, None), spool)
        stream = PackedStream(sink, codec(compression))
        for chunk in tar_chunks(placement.laid):
            stream.write(chunk)
        written = stream.close()
    return MemberResult(written.digest, written.size, written.raw_size, placement.rewrites, placement.link_scripts)


def make_top_member(
    lock: Lock, rewrites: Iterable[Rewrite], *, sink: Sink, compression: Compression = "gzip"
) -> MemberResult:
    """The last member: conda-pack's scripts, the environment's own conda-meta and variables, and the end of the
    archive.
    """
    stream = PackedStream(sink, codec(compression))
    for chunk in tar_chunks(_top(lock, tuple(rewrites))):
        stream.write(chunk)
    stream.write(END_OF_ARCHIVE)
    written = stream.close()
    return MemberResult(written.digest, written.size, written.raw_size)


def _top(lock: Lock, rewrites: Sequence[Rewrite]) -> list[Laid]:
    laid = [Laid("conda-meta/history", Literal(history(lock)))]
    if lock.variables:
        laid.append(Laid("conda-meta/state", Literal(state(lock.variables))))
    scripts = environment_scripts(lock.variables, rewrites)
    return laid + [Laid(path, Literal(text), executable) for path, (text, executable) in scripts.items()]

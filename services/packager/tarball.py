"""The tarball: a list of members, one for each package and a last one for the environment. No byte is copied."""

import io
from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from condarium.conda.pieces.codec import codec
from condarium.conda.pieces.member import MEMBER_FORMAT, MemberResult, make_top_member, member_key
from condarium.database import archives
from condarium.database import pieces as piece_rows
from condarium.database.archives import Codec
from condarium.domain.archive import MemberList
from condarium.domain.artifact import ArtifactType
from condarium.domain.link_order import link_order
from condarium.domain.lock import Lock
from condarium.errors import InputFault
from condarium.storage import blob_key
from services.packager import pieces
from services.packager.children import Desk
from services.packager.handlers import Made, Task, Work
from services.packager.jobs import Compression, PieceJob

Parts = Sequence[tuple[str, int]]

_CODECS: dict[ArtifactType, tuple[Codec, Compression]] = {
    ArtifactType.CONDA_PACK: ("gz", "gzip"),
    ArtifactType.CONDA_PACK_ZST: ("zst", "zstd"),
}


def make_tarball(work: Work, children: Desk, task: Task, *, lost: Callable[[], bool]) -> Made:
    """The tarball of each platform; the digest is the identity of the main one's list of members.

    Raises InputFault where no platform can have one, and what `pieces.ensure` raises.
    """
    suffix, compression = _CODECS[task.artifact]

    def make(lock: Lock) -> Parts:
        return [(member.digest, member.size) for member in members_of(work, children, lock, compression, lost=lost)]

    return make_archives(work, task, suffix, tarball_format(compression), make, what="tarballs")


def make_archives(
    work: Work, task: Task, suffix: Codec, version: str, make: Callable[[Lock], Parts], *, what: str
) -> Made:
    """What `make` puts together for each platform but Windows; what is known already in this `version` as it is."""
    possible = {platform: lock for platform, lock in task.locks.items() if not platform.startswith("win-")}
    if not possible:
        raise InputFault(f"{what} are made for Linux and macOS, not for Windows", reason="no-tarball-for-platform")
    made: dict[str, Parts] = {}
    for platform, lock in possible.items():
        with work.database.transaction() as session:
            known = archives.find(session, lock.hash, suffix, format=version)
        made[platform] = known.parts if known else make(lock)
    main = made.get(task.main_lock.platform) or made[min(made)]
    left_out = sorted(task.locks.keys() - made.keys())
    note = f"without {', '.join(left_out)}: {what} are made for Linux and macOS" if left_out else None
    members = MemberList.of(main)

    def record(session: Session) -> None:
        for platform, parts in made.items():
            archives.store(session, possible[platform].hash, suffix, format=version, parts=parts)

    return Made(members.identity, members.size, note=note, record=record)


def tarball_format(compression: Compression) -> str:
    """The version of a tarball's bytes."""
    return f"{MEMBER_FORMAT}/{codec(compression).key}"


def members_of(
    work: Work, children: Desk, lock: Lock, compression: Compression, *, lost: Callable[[], bool]
) -> list[MemberResult]:
    """Every member in order, stored; the last one ends the archive. Raises what `pieces.ensure` raises."""
    keys = [(member_key(lock, member, compression), member) for member in link_order(lock)]
    with work.database.transaction() as session:
        found = piece_rows.known(session, [key for key, _ in keys])
    jobs = {key: PieceJob("member", lock, [member], compression) for key, member in keys}
    found = pieces.ensure(work.database, children, jobs, found, lost=lost)
    members = [
        MemberResult.from_json({"digest": found[key].digest, "size": found[key].size, **found[key].details})
        for key, _ in keys
    ]
    rewrites = [rewrite for member in members for rewrite in member.rewrites]
    sink = io.BytesIO()
    top = make_top_member(lock, rewrites, sink=sink, compression=compression)
    work.storage.put(blob_key(top.digest), sink.getvalue())
    return [*members, top]

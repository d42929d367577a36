"""The installer: a header, and the members of the gzip tarball as they are."""

import hashlib
from collections.abc import Callable, Sequence

from condarium.conda.installer.header import INSTALLER_FORMAT, Payload, make_header
from condarium.conda.pieces.member import MemberResult
from condarium.domain.lock import Lock
from condarium.errors import LeaseLost
from condarium.storage import Storage, blob_key
from services.packager.children import Desk
from services.packager.handlers import Made, Task, Work
from services.packager.tarball import Parts, make_archives, members_of, tarball_format


def make_installer(work: Work, children: Desk, task: Task, *, lost: Callable[[], bool]) -> Made:
    """The installer of each platform; the digest is the identity of the main one's list of parts.

    Raises InputFault where no platform can have one, and what `pieces.ensure` raises.
    """

    def make(lock: Lock) -> Parts:
        members = members_of(work, children, lock, "gzip", lost=lost)
        rewrites = [rewrite for member in members for rewrite in member.rewrites]
        header = make_header(lock.platform, rewrites, _payload(work.storage, members, lost))
        digest = hashlib.sha256(header).hexdigest()
        work.storage.put(blob_key(digest), header)
        return [(digest, len(header)), *((member.digest, member.size) for member in members)]

    version = f"installer-{INSTALLER_FORMAT}/{tarball_format('gzip')}"
    return make_archives(work, task, "sh", version, make, what="installers")


def _payload(storage: Storage, members: Sequence[MemberResult], lost: Callable[[], bool]) -> Payload:
    """Reads every member once: an installer checks itself by one digest of all its bytes."""
    sha256 = hashlib.sha256()
    for member in members:
        with storage.open(blob_key(member.digest)) as blob:
            for chunk in blob:
                sha256.update(chunk)
        if lost():
            raise LeaseLost("somebody else makes this artifact now")
    size = sum(member.size for member in members)
    return Payload(sha256.hexdigest(), size, sum(member.raw_size for member in members))

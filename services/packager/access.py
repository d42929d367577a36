"""The credentials that an artifact needs, and the right to what others have fetched with theirs."""

from condarium.conda.channels import ChannelSettings
from condarium.database import package_access
from condarium.domain.artifact import ARCHIVES, IMAGES
from condarium.domain.link_order import Member
from condarium.domain.sealing import Vault
from condarium.work import channel_access
from services.packager.children import Desk
from services.packager.handlers import Task, Work
from services.packager.jobs import FetchJob
from services.packager.pieces import scopes_of

#: the artifacts that hold the bytes of packages
NEED_BYTES = frozenset({*ARCHIVES, *IMAGES})


def channels_of(work: Work, task: Task) -> ChannelSettings:
    """The settings of channels with the credentials of this build's namespace that its packages need.

    Raises WorldFault for a credential that cannot be decrypted, Unavailable.
    """
    settings = work.settings
    vault = Vault(settings.secret, settings.secret_previous)
    namespace = task.build.environment.namespace.name
    with work.database.transaction() as session:
        return channel_access.for_locks(session, vault, work.channels, namespace=namespace, locks=task.locks.values())


def show_right(work: Work, children: Desk, task: Task) -> None:
    """Layers, members and whole images are kept by digest, and a digest is no secret: what somebody fetched with a
    credential of their own is fetched once more, with the credentials of this build, before it is used for it.

    Raises InputFault where the channel refuses, WorldFault.
    """
    members: dict[str, Member] = {}
    for lock in task.locks.values():
        members |= {member.sha256: member for member in lock.conda} | {member.sha256: member for member in lock.pypi}
    scopes = scopes_of(children.channels, members.values())
    with work.database.transaction() as session:
        closed = sorted(package_access.closed(session, scopes))
    if not closed:
        return
    children.run(FetchJob([(members[sha256].url, sha256, members[sha256].size) for sha256 in closed]))
    with work.database.transaction() as session:
        package_access.fetched(session, {sha256: scopes[sha256] for sha256 in closed})

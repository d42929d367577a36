"""Packages of `oci://` channels: archives out of the channels into storage, as soon as somebody asks for them."""

from condarium.conda.channels import ChannelSettings
from condarium.database import package_copies
from condarium.domain.lock import Lock, Record
from condarium.domain.oci_channel import Parts
from condarium.domain.redaction import redact
from condarium.domain.sealing import Vault
from condarium.work import channel_access
from services.packager import beside
from services.packager.beside import Beside, Held, Kind
from services.packager.children import Children
from services.packager.handlers import Work
from services.packager.jobs import PackageJob


def package_slots(work: Work, children: Children) -> Beside:
    """As many threads as there are children: these do the work."""

    def perform(held: Held) -> beside.Record:
        with work.database.transaction() as session:
            wanted = package_copies.load_claimed(session, held.claim)
        channels = _channels(work, wanted)
        made = children.using(channels).run(PackageJob(wanted.url, wanted.sha256, wanted.size))
        parts = Parts.from_json(made)
        return lambda session: package_copies.ready(session, held.claim, parts)

    kind = Kind(
        name="packages",
        claimable=package_copies.CLAIMABLE,
        channel=package_copies.ASKED_CHANNEL,
        count=work.settings.packager_slots,
        perform=perform,
        failed=package_copies.fail,
        shown=lambda text: redact(text, work.channels.secrets()),
    )
    return Beside(work, kind)


def _channels(work: Work, wanted: package_copies.Wanted) -> ChannelSettings:
    """With the credentials that the namespace has for this package: what it may not fetch it may not serve.

    Raises WorldFault for a credential that cannot be decrypted.
    """
    vault = Vault(work.settings.secret, work.settings.secret_previous)
    record = Record({"name": "", "url": wanted.url, "sha256": wanted.sha256, "size": wanted.size})
    lock = Lock("", (), (), (), (record,))
    with work.database.transaction() as session:
        return channel_access.for_locks(session, vault, work.channels, namespace=wanted.namespace, locks=[lock])

"""Referrers of images: made by a thread of their own after the image, so that signing delays no pull.

`gathering` (what they say, out of rows), `files` (bills, lockfiles, log, changes), `signed` (statements, signatures).
"""

from sqlalchemy.orm import Session

from condarium.database import referrer_sets, referrers, signing_keys
from condarium.domain.redaction import redact
from condarium.domain.referrers.envelope import SigningKey
from condarium.domain.referrers.manifest import Rendered
from condarium.domain.sealing import Vault
from condarium.storage import blob_key
from services.packager import beside
from services.packager.beside import Beside, Held, Kind
from services.packager.children import Children
from services.packager.handlers import Work
from services.packager.referrers.files import Files
from services.packager.referrers.gathering import Gathered, gather
from services.packager.referrers.signed import signed_of


def referrer_slots(work: Work, children: Children) -> Beside:
    """One thread: what takes time is done by the children."""

    def perform(held: Held) -> beside.Record:
        vault = Vault(work.settings.secret, work.settings.secret_previous)
        with work.database.transaction() as session:
            key = signing_keys.signing(session, vault)
            gathered = gather(session, work, vault, referrer_sets.build_of(session, held.claim))
        rendered = _rendered(work, children, gathered, key, held)
        _store(work, rendered)

        def record(session: Session) -> None:
            referrers.store(session, gathered.build_id, rendered)
            referrer_sets.finish(session, held.claim, fingerprint=key.fingerprint)

        return record

    kind = Kind(
        name="referrers",
        claimable=referrer_sets.CLAIMABLE,
        channel=referrer_sets.CHANNEL,
        count=1,
        perform=perform,
        failed=referrer_sets.fail,
        shown=lambda text: redact(text, work.channels.secrets()),
    )
    return Beside(work, kind)


def _rendered(work: Work, children: Children, gathered: Gathered, key: SigningKey, held: Held) -> list[Rendered]:
    files = Files(work, children.using(gathered.channels), gathered)
    rendered: list[Rendered] = []
    for subject in gathered.subjects:
        held.check()
        rendered += files.of(subject)
        rendered += signed_of(key, gathered, subject, files)
    return rendered


def _store(work: Work, rendered: list[Rendered]) -> None:
    """Each blob once, whatever the number of manifests that name it."""
    contents = {part.digest: part.content for one in rendered for part in one.parts if part.content is not None}
    for digest, content in contents.items():
        work.storage.put(blob_key(digest), content)

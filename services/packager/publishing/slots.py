"""The threads that push, and how a push ends."""

from sqlalchemy.orm import Session

from condarium.database import credentials, leases, outbox, publications
from condarium.database.publications import Task
from condarium.domain.credential import RegistryLogin
from condarium.domain.redaction import redact
from condarium.domain.sealing import Vault
from condarium.errors import Unavailable, WorldFault
from condarium.events import ImagePublished, PublishingFailed
from condarium.oci.connection import Connection
from services.packager import beside
from services.packager.beside import Beside, Held, Kind
from services.packager.handlers import Work
from services.packager.publishing.pushing import Pushed, network_of, push

SOURCE = "packager"


def publishing_slots(work: Work) -> Beside:
    """As many images at a time as `CONDARIUM_PACKAGER_PUBLISH_SLOTS` says."""

    def perform(held: Held) -> beside.Record:
        with work.database.transaction() as session:
            task = publications.load_claimed(session, held.claim)
            login = _login(work, session, task)
        try:
            with Connection(task.rule.registry, login=login, network=network_of(work)) as connection:
                pushed = push(work, task, connection, held.check)
        except Exception as error:
            # whatever a registry answers, what was shown to it is not repeated
            if login is not None and error.args:
                error.args = (redact(str(error), (login.password,)), *error.args[1:])
            raise
        return lambda session: _ready(session, held, task, pushed)

    kind = Kind(
        name="publishing",
        claimable=publications.CLAIMABLE,
        channel=publications.CHANNEL,
        count=work.settings.packager_publish_slots,
        perform=perform,
        failed=_failed,
        shown=lambda text: redact(text, ()),
    )
    return Beside(work, kind)


def _login(work: Work, session: Session, task: Task) -> RegistryLogin | None:
    """Raises WorldFault for a credential that cannot be decrypted."""
    vault = Vault(work.settings.secret, work.settings.secret_previous)
    repository = task.rule.repository_of(task.namespace, task.environment)
    try:
        return credentials.for_registry(session, vault, task.namespace, f"{task.rule.registry}/{repository}")
    except Unavailable as error:
        raise WorldFault(str(error)) from None


def _ready(session: Session, held: Held, task: Task, pushed: Pushed) -> None:
    publications.ready(
        session,
        held.claim,
        repository=pushed.repository,
        digest=pushed.digest,
        tags=pushed.tags,
        counts=pushed.counts.to_json(),
    )
    event = ImagePublished(
        namespace=task.namespace,
        environment=task.environment,
        actor="system",
        build=task.build.id,
        rule=task.rule_name,
        registry=task.rule.registry,
        repository=pushed.repository,
        tags=tuple(pushed.tags),
        digest=f"sha256:{pushed.digest}",
    )
    outbox.add(session, event, source=SOURCE)


def _failed(session: Session, claim: leases.Claim, message: str) -> None:
    task = publications.load_claimed(session, claim)
    publications.fail(session, claim, message)
    event = PublishingFailed(
        namespace=task.namespace,
        environment=task.environment,
        actor="system",
        build=task.build.id,
        rule=task.rule_name,
        registry=task.rule.registry,
        message=message,
    )
    outbox.add(session, event, source=SOURCE)

"""Credentials of channels, indexes and registries: listed without what they hold, and opened for who needs them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from condarium.database.tables import Credential, Namespace, Solve
from condarium.domain.credential import Kind, RegistryLogin, Use, as_shown, covers
from condarium.domain.sealing import CannotOpen, Sealed, Vault
from condarium.errors import Conflict, NotFound, Unavailable

#: most credentials of one namespace, and of the deployment
MOST = 200


@dataclass(frozen=True)
class Opened:
    """A credential as it is shown to a server. `namespace` is empty for one of the deployment."""

    namespace: str
    name: str
    kind: Kind
    url: str
    shown: dict[str, str]

    @property
    def called(self) -> str:
        """For sentences."""
        return f"credential {self.name!r} of {f'namespace {self.namespace}' if self.namespace else 'the deployment'}"


def every(session: Session, namespaces: Sequence[Namespace], *, deployment: bool) -> list[tuple[Credential, str]]:
    """(row, namespace's name or "") of the namespaces given, and of the deployment when asked for; by name."""
    wanted = Credential.namespace_id.in_([each.id for each in namespaces])
    rows = session.execute(
        select(Credential, func.coalesce(Namespace.name, ""))
        .outerjoin(Namespace, Namespace.id == Credential.namespace_id)
        .where(or_(wanted, Credential.namespace_id.is_(None)) if deployment else wanted)
        .order_by(func.coalesce(Namespace.name, ""), Credential.name)
    ).all()
    return [(row[0], row[1]) for row in rows]


def put(
    session: Session,
    vault: Vault,
    *,
    namespace: Namespace | None,
    name: str,
    kind: Kind,
    url: str,
    values: dict[str, str],
    actor: str,
) -> Credential:
    """Sets a credential, new or instead of what was there.

    Raises Conflict when another one of the same use has the URL already, or there are too many.
    """
    namespace_id = namespace.id if namespace else None
    # Two at once with one name or URL: the second sees what the first has done.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"credentials/{namespace_id}"))))
    others = session.execute(select(Credential).where(_of(namespace_id))).scalars().all()
    row = next((each for each in others if each.name == name), None)
    twin = next((each for each in others if each.use == kind.use and each.url == url and each.name != name), None)
    if twin is not None:
        raise Conflict(f"credential {twin.name!r} is for {kind.use} {url} already; change that one, or delete it")
    if row is None and len(others) >= MOST:
        raise Conflict(f"there are {len(others)} credentials already, and at most {MOST} are kept in one place")
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    if row is None:
        row = Credential(namespace_id=namespace_id, name=name, created_by=actor)
        session.add(row)
    sealed = vault.seal(json.dumps(values, sort_keys=True), _context(namespace_id, name, kind, url))
    row.kind, row.use, row.url = kind.value, kind.use.value, url
    row.key_id, row.sealed = sealed.key_id, sealed.data
    row.updated_by, row.updated_on = actor, now
    session.flush()
    session.refresh(row)
    _forget_answers(session, namespace)
    return row


def drop(session: Session, *, namespace: Namespace | None, name: str) -> Credential:
    """Deletes it; returns what it was. Raises NotFound."""
    namespace_id = namespace.id if namespace else None
    row = session.execute(
        select(Credential).where(_of(namespace_id), Credential.name == name).with_for_update()
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("credential does not exist")
    session.delete(row)
    session.flush()
    _forget_answers(session, namespace)
    return row


def _forget_answers(session: Session, namespace: Namespace | None) -> None:
    """What was solved, or refused, with the credentials of before is solved again when it is asked for."""
    where = () if namespace is None else (Solve.namespace == namespace.name,)
    session.execute(
        update(Solve)
        .where(Solve.state.in_(("SOLVED", "FAILED")), *where)
        .values(answered_on=None)
        .execution_options(synchronize_session=False)
    )


def end(session: Session, namespace: Namespace) -> None:
    """The namespace is deleted, and whoever makes the name anew inherits nothing."""
    session.execute(delete(Credential).where(Credential.namespace_id == namespace.id))
    session.execute(delete(Solve).where(Solve.namespace == namespace.name))


def opened(session: Session, vault: Vault, namespace: str, needed: Callable[[Kind, str], bool]) -> list[Opened]:
    """Those of the namespace and of the deployment whose kind and URL are `needed`; only these are decrypted.

    Of two with the same use and URL there is only the namespace's. Raises Unavailable, naming what does not open.
    """
    rows = session.execute(
        select(Credential, func.coalesce(Namespace.name, ""))
        .outerjoin(Namespace, Namespace.id == Credential.namespace_id)
        .where(
            or_(
                Credential.namespace_id.is_(None),
                (Namespace.name == namespace) & Namespace.deleted_on.is_(None),
            )
        )
        .order_by(Credential.namespace_id.is_not(None))
    ).all()
    chosen: dict[tuple[str, str], tuple[Credential, str]] = {}
    for row, owner in rows:
        if needed(Kind(row.kind), row.url):
            chosen[row.use, row.url] = row, owner
    return [_open(vault, row, owner) for row, owner in chosen.values()]


def for_registry(session: Session, vault: Vault, namespace: str, url: str) -> RegistryLogin | None:
    """What is shown to the registry of `url` (https://host/repository) for this namespace: the longest prefix's.

    Raises Unavailable as `opened` does.
    """
    found = opened(session, vault, namespace, lambda kind, prefix: kind.use is Use.REGISTRY and covers(prefix, url))
    if not found:
        return None
    shown = max(found, key=lambda each: len(each.url)).shown
    return RegistryLogin(shown.get("username", ""), shown.get("password") or shown["token"])


def reseal(session: Session, vault: Vault) -> tuple[int, list[str]]:
    """Seals with the present key what was sealed with the one before: how many, and the names that do not open."""
    rows = session.execute(
        select(Credential).where(Credential.key_id != vault.key_id).order_by(Credential.id).with_for_update()
    ).scalars()
    done, closed = 0, []
    for row in rows:
        context = _context(row.namespace_id, row.name, Kind(row.kind), row.url)
        try:
            sealed = vault.seal(vault.open(Sealed(row.key_id, row.sealed), context), context)
        except CannotOpen:
            closed.append(row.name)
            continue
        row.key_id, row.sealed = sealed.key_id, sealed.data
        done += 1
    session.flush()
    return done, closed


def _open(vault: Vault, row: Credential, owner: str) -> Opened:
    kind = Kind(row.kind)
    try:
        text = vault.open(Sealed(row.key_id, row.sealed), _context(row.namespace_id, row.name, kind, row.url))
    except CannotOpen as error:
        of = f"namespace {owner}" if owner else "the deployment"
        raise Unavailable(f"credential {row.name!r} of {of} cannot be decrypted: {error}") from None
    values: dict[str, Any] = json.loads(text)
    return Opened(owner, row.name, kind, row.url, as_shown(kind, values))


def _of(namespace_id: int | None) -> Any:
    return Credential.namespace_id.is_(None) if namespace_id is None else Credential.namespace_id == namespace_id


def _context(namespace_id: int | None, name: str, kind: Kind, url: str) -> str:
    """What the value belongs to: somebody who can write the table cannot point it to a server of their own."""
    return json.dumps([namespace_id, name, kind.value, url])

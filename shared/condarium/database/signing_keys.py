"""The installation's signing keys: one that signs, and those before it, whose signatures stay valid."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from condarium.database.tables import SigningKey as Row
from condarium.domain.referrers.envelope import SigningKey
from condarium.domain.sealing import CannotOpen, Sealed, Vault
from condarium.errors import Unavailable

ACTIVE = "ACTIVE"
RETIRED = "RETIRED"
_LOCK = 0x5349474E


def every(session: Session) -> list[Row]:
    """The newest first; the private halves are not opened."""
    return list(session.execute(select(Row).order_by(Row.id.desc())).scalars())


def ensure(session: Session, vault: Vault, *, actor: str = "system") -> Row:
    """The row of the key that signs; made when there is none yet, once however many ask."""
    row = _active(session)
    if row is None:
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        row = _active(session) or _add(session, vault, actor)
    return row


def signing(session: Session, vault: Vault) -> SigningKey:
    """The key that signs. Raises Unavailable when it cannot be decrypted."""
    row = ensure(session, vault)
    try:
        return SigningKey.from_pem(vault.open(Sealed(row.key_id, row.sealed), row.fingerprint))
    except CannotOpen as error:
        raise Unavailable(f"the signing key {row.fingerprint[:12]} cannot be decrypted: {error}") from None


def rotate(session: Session, vault: Vault, *, actor: str) -> Row:
    """A new key signs from now on; the one before stays listed, and what it has signed stays."""
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    old = _active(session)
    if old is not None:
        old.state, old.retired_by = RETIRED, actor
        old.retired_on = session.execute(select(func.clock_timestamp())).scalar_one()
        session.flush()
    return _add(session, vault, actor)


def reseal(session: Session, vault: Vault) -> tuple[int, list[str]]:
    """Seals with the present secret what was sealed with the one before: how many, and what does not open."""
    done, closed = 0, []
    for row in session.execute(select(Row).where(Row.key_id != vault.key_id).with_for_update()).scalars():
        try:
            sealed = vault.seal(vault.open(Sealed(row.key_id, row.sealed), row.fingerprint), row.fingerprint)
        except CannotOpen:
            closed.append(f"signing key {row.fingerprint[:12]}")
            continue
        row.key_id, row.sealed = sealed.key_id, sealed.data
        done += 1
    session.flush()
    return done, closed


def _active(session: Session) -> Row | None:
    return session.execute(select(Row).where(Row.state == ACTIVE)).scalar_one_or_none()


def _add(session: Session, vault: Vault, actor: str) -> Row:
    key = SigningKey.generate()
    sealed = vault.seal(key.to_pem(), key.fingerprint)
    row = Row(
        fingerprint=key.fingerprint,
        public_key=key.public_pem,
        key_id=sealed.key_id,
        sealed=sealed.data,
        state=ACTIVE,
        created_by=actor,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row

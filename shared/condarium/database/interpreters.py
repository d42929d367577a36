"""Which python packages run on the packagers' machines; found out once in the whole installation."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import Interpreter, LockPackage, LockRow
from condarium.domain.lock import Lock, Record


@dataclass(frozen=True)
class Probed:
    """`tag` as cpython-311; None with a `refusal` for people where it does not run."""

    tag: str | None
    refusal: str | None = None


def find(session: Session, sha256: str, platform: str) -> Probed | None:
    """What is known of that package on machines of `platform`."""
    row = session.get(Interpreter, (sha256, platform))
    return None if row is None else Probed(row.tag, row.refusal)


def record(session: Session, sha256: str, platform: str, probed: Probed) -> None:
    session.execute(
        insert(Interpreter)
        .values(sha256=sha256, platform=platform, tag=probed.tag, refusal=probed.refusal)
        .on_conflict_do_nothing(index_elements=["sha256", "platform"])
    )


def of_a_lock(session: Session, version: str, *, platform: str, channels: Sequence[str]) -> Record | None:
    """The package of Python `version` for `platform` out of the oldest lock that has it from one of `channels`."""
    row = session.execute(
        select(LockRow.content)
        .join(LockPackage, LockPackage.lock_id == LockRow.id)
        .where(LockPackage.name == "python", LockPackage.version == version, LockPackage.kind == "conda")
        .where(LockRow.platform == platform, LockPackage.channel.in_([url.rstrip("/") for url in channels]))
        .order_by(LockRow.id)
        .limit(1)
    ).scalar_one_or_none()
    if row is None:
        return None
    return next((record for record in Lock.from_json(row).conda if record.name == "python"), None)

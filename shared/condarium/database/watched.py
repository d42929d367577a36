"""What the watcher has seen of each file. A file's row is locked while it is looked at: copies take turns."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from condarium.database.tables import WatchedFile


def hold(session: Session, namespace: str, path: str) -> WatchedFile:
    """The file's row, locked until the transaction ends; made on first sight, with an empty `content_sha256`."""
    session.execute(
        insert(WatchedFile)
        .values(namespace=namespace, path=path, content_sha256="")
        .on_conflict_do_nothing(index_elements=["namespace", "path"])
    )
    return session.execute(
        select(WatchedFile)
        .where(WatchedFile.namespace == namespace, WatchedFile.path == path)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one()

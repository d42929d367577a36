"""What the watcher has seen, so that a restart submits nothing twice."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table


class WatchedFile(Table):
    __tablename__ = "watched_files"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace: Mapped[str]
    #: the logical path, as configured
    path: Mapped[str]
    #: of the bytes last read
    content_sha256: Mapped[str]
    #: of the specification last submitted; null while the file has never been valid
    specification_sha256: Mapped[str | None]
    #: why the bytes last read are no specification
    message: Mapped[str | None]
    build_id: Mapped[int | None] = mapped_column(ForeignKey("builds.id"))
    seen_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

    __table_args__ = (UniqueConstraint("namespace", "path"),)

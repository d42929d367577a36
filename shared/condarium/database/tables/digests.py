"""Other digests of what is stored under its sha256."""

from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Table


class BlobDigest(Table):
    """The sha512 of a blob, found out when somebody asked by one; it stays true whatever becomes of the blob."""

    __tablename__ = "blob_digests"

    #: in hex
    sha256: Mapped[str] = mapped_column(primary_key=True)
    #: in hex
    sha512: Mapped[str] = mapped_column(unique=True)

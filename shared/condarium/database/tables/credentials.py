"""What opens private channels, indexes and registries."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from condarium.database.tables.schema import Created, Table


class Credential(Created, Table):
    """A credential for everything below a URL; what it holds is sealed, see `domain.sealing`."""

    __tablename__ = "credentials"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: null for one of the whole deployment
    namespace_id: Mapped[int | None] = mapped_column(ForeignKey("namespaces.id", ondelete="CASCADE"))
    name: Mapped[str]
    #: `domain.credential.Kind`
    kind: Mapped[str]
    #: `domain.credential.Use`, which follows from the kind
    use: Mapped[str]
    #: the prefix, in its normal form
    url: Mapped[str]
    #: of the key that it is sealed with
    key_id: Mapped[str]
    sealed: Mapped[str]
    updated_on: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_by: Mapped[str]

    __table_args__ = (
        Index(
            "uq_credentials_namespace_id_name",
            "namespace_id",
            "name",
            unique=True,
            postgresql_where=text("namespace_id is not null"),
        ),
        Index("uq_credentials_name", "name", unique=True, postgresql_where=text("namespace_id is null")),
        Index(
            "uq_credentials_namespace_id_use_url",
            "namespace_id",
            "use",
            "url",
            unique=True,
            postgresql_where=text("namespace_id is not null"),
        ),
        Index("uq_credentials_use_url", "use", "url", unique=True, postgresql_where=text("namespace_id is null")),
    )


class PackageAccess(Table):
    """Who has shown that they can read a package that came with the credential of a namespace.

    Caches and pieces are kept by digest, and a digest is no secret. A package without rows is everybody's; one with
    rows is used again only for a scope among them, others fetch it themselves first. An empty scope is everybody.
    """

    __tablename__ = "package_access"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    #: the fingerprint of a credential
    scope: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())

"""Roles that namespaces give: to their own members on anything, and to the members of others on themselves."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from condarium.database.tables.environments import Namespace
from condarium.database.tables.schema import Created, Table

_ROLES = "role in ('viewer', 'developer', 'admin')"


class RoleMapping(Created, Table):
    """conda-store's first kind: whose primary namespace it is, has the role on all that `entity` holds."""

    __tablename__ = "role_mappings"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    #: an ARN with its wildcards
    entity: Mapped[str]
    role: Mapped[str]

    __table_args__ = (
        UniqueConstraint("namespace_id", "entity", "role"),
        CheckConstraint(_ROLES, name="role"),
    )


class NamespaceRole(Created, Table):
    """conda-store's second kind: whose primary namespace is the other one, has the role in this one."""

    __tablename__ = "namespace_roles"

    id: Mapped[int] = mapped_column(primary_key=True)
    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    other_namespace_id: Mapped[int] = mapped_column(ForeignKey("namespaces.id"))
    role: Mapped[str]

    other_namespace: Mapped[Namespace] = relationship(foreign_keys=[other_namespace_id], lazy="raise")

    __table_args__ = (
        UniqueConstraint("namespace_id", "other_namespace_id"),
        Index("ix_namespace_roles_other_namespace_id", "other_namespace_id"),
        CheckConstraint(_ROLES, name="role"),
    )

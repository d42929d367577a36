"""Those who log in, the tokens they hold, and failed attempts to log in."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from condarium.database.tables.schema import Created, Table


class User(Created, Table):
    """Somebody who has logged in; what the last login gave is what all tokens of the user are held to."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: what audit columns and events call the user
    name: Mapped[str]
    #: who vouches: `development`, or the address of the login provider
    provider: Mapped[str]
    #: the user's identity there; names may change hands, this does not
    subject: Mapped[str]
    primary_namespace: Mapped[str]
    #: ARN to roles, as the last login gave them
    role_bindings: Mapped[dict[str, Any]]
    last_login_on: Mapped[datetime | None]
    #: from then on nobody logs in as the user, and no token of the user is worth anything
    disabled_on: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("name"), UniqueConstraint("provider", "subject"))


class Token(Created, Table):
    """A token that was handed out. Its text is not kept; `identity` is in it, signed."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: the claim `jti`
    identity: Mapped[str]
    #: what its owner calls it
    name: Mapped[str] = mapped_column(server_default="")
    #: `token`, or `session` for the cookie of a login
    kind: Mapped[str]
    #: the name of the principal whose rights it carries
    owner: Mapped[str]
    #: null for owners out of settings: the administrator, predefined tokens
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    #: the token that it was made with; ends with that
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id", ondelete="CASCADE"))
    primary_namespace: Mapped[str]
    #: ARN to roles; never worth more than what the owner has at the moment of use
    role_bindings: Mapped[dict[str, Any]]
    #: it carries all that its owner may do, whenever that is given: the session of a login
    inherits: Mapped[bool] = mapped_column(server_default="false")
    expires_on: Mapped[datetime]
    #: to the minute
    last_used_on: Mapped[datetime | None]
    revoked_on: Mapped[datetime | None]
    revoked_by: Mapped[str | None]

    user: Mapped[User | None] = relationship(lazy="raise")

    __table_args__ = (
        UniqueConstraint("identity"),
        Index(None, "owner", "id"),
        Index(None, "parent_id"),
        Index(None, "expires_on"),
    )


class LoginAttempt(Table):
    """An attempt to log in that has not succeeded. Rows live as long as the window that is counted."""

    __tablename__ = "login_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    #: hash of the user name or of the address: people type passwords into the wrong field
    subject: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (Index(None, "subject", "at"), Index(None, "at"))

"""Tokens: made, listed, revoked; and those who log in."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from condarium.client.asynchronous.connection import AsyncConnection
from condarium.client.models.access import NewToken, TokenRow, UserRow


class AsyncTokens(AsyncConnection):
    """A token carries what its maker may do, or less."""

    async def tokens(self, *, owner: str = "", kind: str = "") -> AsyncIterator[TokenRow]:
        """One's own tokens and logins, the newest first; those of another `owner`, or `*` for all, are for
        administrators. `kind` is token or session.
        """
        async for row in self._pages(TokenRow, self._at("token"), {"owner": owner, "kind": kind}):
            yield row

    async def create_token(
        self,
        *,
        name: str = "",
        expires_on: datetime | None = None,
        primary_namespace: str | None = None,
        role_bindings: Mapping[str, Sequence[str]] | None = None,
    ) -> NewToken:
        """`role_bindings` is `{ARN: [roles]}`, by default all that one has. Raises Refused for more than one has."""
        content: dict[str, Any] = {"name": name, "primary_namespace": primary_namespace}
        if expires_on is not None:
            content["expiration"] = expires_on.isoformat()
        if role_bindings is not None:
            content["role_bindings"] = {arn: list(roles) for arn, roles in role_bindings.items()}
        return await self._ask(NewToken, "POST", self._at("token"), json=content)

    async def revoke_token(self, token_id: int) -> str:
        """Ends a token, and those that were made with it, at once; returns what was ended, in a sentence."""
        return await self._say("DELETE", self._at("token", token_id), repeatable=True)

    async def users(self) -> AsyncIterator[UserRow]:
        """Who has ever logged in; for administrators."""
        async for row in self._pages(UserRow, self._at("user"), {}):
            yield row

    async def disable_user(self, name: str) -> str:
        """Shuts somebody out: no login, and every token of theirs is worth nothing; for administrators."""
        return await self._say("PUT", self._at("user", name), json={"disabled": True}, repeatable=True)

    async def enable_user(self, name: str) -> str:
        """Lets somebody in again."""
        return await self._say("PUT", self._at("user", name), json={"disabled": False}, repeatable=True)

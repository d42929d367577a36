"""The tokens that Condarium has handed out: whose they are, what they are worth now, when they were last used."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from condarium import log
from condarium.database import Database, roles, tokens
from condarium.database.tables import Token
from condarium.domain.access import Binding, Principal, parse_bindings
from condarium.domain.defaults import Defaults
from condarium.domain.token import TokenKey
from condarium.errors import CondariumError, InvalidInput

#: uses are written together, this often
WRITE_SECONDS = 2.0

logger = log.get(__name__)


class HeldTokens:
    """A recogniser for `http.authenticator`, and a block in which last uses are written.

    What a token is worth is decided at each look: its own bindings, as far as they are within what its owner has now.
    A binding that is only partly within that is worth nothing.
    """

    def __init__(self, key: TokenKey, defaults: Defaults, database: Database) -> None:
        self.key = key
        self._defaults = defaults
        self._database = database
        self._used: set[int] = set()

    def recognise(self, session: Session, text: str) -> Principal | None:
        """Whose token it is; None for what is none of ours, or has ended."""
        claims = self.key.read(text)
        row = tokens.find(session, claims.identity) if claims is not None else None
        owner = self.owner(row) if row is not None else None
        if row is None or owner is None:
            return None
        self._used.add(row.id)
        return self.worth(session, row, owner)

    def owner(self, row: Token) -> Principal | None:
        """With the owner's own bindings; None when there is no such owner any more."""
        if row.user is None:
            return self._defaults.owner(row.owner)
        return Principal(
            row.user.name,
            _readable(row.user.role_bindings),
            is_authenticated=True,
            primary_namespace=row.user.primary_namespace,
        )

    def worth(self, session: Session, row: Token, owner: Principal) -> Principal:
        """What the token stands for, as long as its owner stands so."""
        bindings = owner.bindings
        if not row.inherits:
            mapped = roles.bindings_of(session, owner.primary_namespace or self._defaults.default_namespace)
            held = self._defaults.standing(owner, mapped).bindings
            bindings = _within(_readable(row.role_bindings), held)
        return Principal(
            owner.name,
            bindings,
            is_authenticated=True,
            primary_namespace=row.primary_namespace,
            expires_on=row.expires_on,
            token_id=row.id,
            inherits=row.inherits,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Writes last uses while the block runs. Losing some of them harms nobody."""
        task = asyncio.create_task(self._run(), name="last-uses")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await run_in_threadpool(self.write)
            except CondariumError as error:
                logger.warning("the last use of tokens is not written", reason=str(error))
            except Exception:  # the next ones are worth another try
                logger.exception("the last use of tokens is not written")

    def write(self) -> None:
        """Writes the uses since the last call."""
        used, self._used = self._used, set()
        if used:
            with self._database.transaction() as session:
                tokens.used(session, used)


def _within(asked: Iterable[Binding], held: Iterable[Binding]) -> tuple[Binding, ...]:
    mine = tuple(held)
    return tuple(each for each in asked if any(binding.covers(each) for binding in mine))


def _readable(found: dict[str, list[str]]) -> tuple[Binding, ...]:
    """Bindings of a row; one that this release does not know gives nothing."""
    try:
        return parse_bindings(found)
    except InvalidInput:
        logger.warning("bindings of a token or user cannot be read and give nothing")
        return ()

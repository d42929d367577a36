"""Migrating is a command that is run once, never a side effect of a start.

Alembic is imported by that command alone: services only compare two words, and it would cost each of them 10 MB.
"""

import re
from pathlib import Path

import sqlalchemy

from condarium.database.connection import driver_url
from condarium.errors import ConfigError

MIGRATIONS = Path(__file__).parent / "migrations"
_REVISION = re.compile(r'^(down_)?revision\s*(?::[^=]*)?=\s*"([^"]+)"', re.MULTILINE)


def migrate(url: str, *, revision: str = "head") -> None:
    """Brings the schema of the database at `url` to `revision`; safe to call twice, and by two at once."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = driver_url(url)
    command.upgrade(config, revision)


def check_schema(url: str) -> None:
    """Raises ConfigError, with the command to run, unless the schema is the one this release was written for."""
    wanted, known = _revisions()
    found = _find_revision(url)
    if found == wanted:
        return
    if found is None:
        raise ConfigError("the database has no schema yet; run: python -m condarium.database migrate")
    if found in known:
        raise ConfigError(
            f"the database's schema is at {found}, {wanted} is needed; run: python -m condarium.database migrate"
        )
    raise ConfigError(f"the database's schema ({found}) is newer than this release ({wanted}); run the newer release")


def _revisions() -> tuple[str, set[str]]:
    """The newest revision of this release, and all of them."""
    known: set[str] = set()
    followed: set[str] = set()
    for path in (MIGRATIONS / "versions").glob("*.py"):
        for down, revision in _REVISION.findall(path.read_text()):
            (followed if down else known).add(revision)
    (newest,) = known - followed
    return newest, known


def _find_revision(url: str) -> str | None:
    """What alembic noted in the database; None when it has never been there."""
    engine = sqlalchemy.create_engine(driver_url(url), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sqlalchemy.text("select version_num from alembic_version")).scalar_one_or_none()

"""Migrating is a command that is run once, never a side effect of a start."""

from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from condarium.database.connection import driver_url
from condarium.errors import ConfigError


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = driver_url(url)
    return config


def migrate(url: str, *, revision: str = "head") -> None:
    """Brings the schema of the database at `url` to `revision`; safe to call twice, and by two at once."""
    command.upgrade(_config(url), revision)


def check_schema(url: str) -> None:
    """Raises ConfigError, with the command to run, unless the schema is the one this release was written for."""
    wanted = ScriptDirectory.from_config(_config(url)).get_current_head()
    engine = sqlalchemy.create_engine(driver_url(url), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found == wanted:
        return
    if found is None:
        raise ConfigError("the database has no schema yet; run: python -m condarium.database migrate")
    known = {script.revision for script in ScriptDirectory.from_config(_config(url)).walk_revisions()}
    if found in known:
        raise ConfigError(
            f"the database's schema is at {found}, {wanted} is needed; run: python -m condarium.database migrate"
        )
    raise ConfigError(f"the database's schema ({found}) is newer than this release ({wanted}); run the newer release")

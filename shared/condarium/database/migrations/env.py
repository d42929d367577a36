"""Alembic's entry: one transaction, under a lock, so that two migrations at once are one after the other."""

import sqlalchemy
from alembic import context

from condarium.database.tables import metadata

MIGRATION_LOCK = 0x6D696772


def run() -> None:
    engine = sqlalchemy.create_engine(context.config.attributes["url"], poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
        context.run_migrations()
    engine.dispose()


run()

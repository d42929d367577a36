"""A fresh install and an upgraded one have the same schema."""

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from condarium.database import check_schema, migrate
from condarium.database.connection import driver_url
from condarium.database.tables import metadata
from condarium.errors import ConfigError


def columns(url: str) -> dict[str, list[tuple[str, str, bool, str | None]]]:
    engine = sqlalchemy.create_engine(driver_url(url), poolclass=sqlalchemy.NullPool)
    inspector = sqlalchemy.inspect(engine)
    return {
        table: sorted((c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table))
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def test_migrations_and_tables_give_the_same_schema(database_url: str, empty_database_url: str) -> None:
    engine = sqlalchemy.create_engine(driver_url(database_url), poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    fresh = sqlalchemy.create_engine(driver_url(empty_database_url), poolclass=sqlalchemy.NullPool)
    metadata.create_all(fresh)
    assert columns(database_url) == columns(empty_database_url)


def test_a_start_on_an_empty_database_names_the_command(empty_database_url: str) -> None:
    with pytest.raises(ConfigError, match=r"no schema yet; run: python -m condarium\.database migrate"):
        check_schema(empty_database_url)
    migrate(empty_database_url)
    check_schema(empty_database_url)


def test_a_newer_schema_is_refused(database_url: str) -> None:
    engine = sqlalchemy.create_engine(driver_url(database_url), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("update alembic_version set version_num = '20990101_0001'"))
    with pytest.raises(ConfigError, match="newer than this release"):
        check_schema(database_url)

"""A gateway, a builder and a packager for what is submitted here."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.postgres import PrivatePostgres
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.system import System, running_system


@pytest.fixture(scope="session")
def workshop(
    postgres_server: PrivatePostgres, migrated_template: str, rabbit_server: PrivateRabbit, sample_channel: Path
) -> Iterator[System]:
    """No images: what is locked and linked is looked at, not what is packed."""
    name = "workshop"
    with psycopg.connect(postgres_server.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"')
    with running_system(
        database_url=postgres_server.database_url(name),
        amqp_url=rabbit_server.add_virtual_host(f"workshop-{secrets.token_hex(4)}"),
        channel=sample_channel,
        services=("api", "builder", "packager"),
        CONDARIUM_ARTIFACTS="LOCKFILE,YAML,LOGS",
        CONDARIUM_API_SOLVE_FRESH_SECONDS="0",
    ) as running:
        yield running

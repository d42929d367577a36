"""One system for most journeys; those that break things have their own."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.postgres import PrivatePostgres
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.system import System, running_system


@pytest.fixture(scope="session")
def base_image_directory(container_directory: Path) -> Path:
    """The default base image, made once for the run."""
    from deploy.base_image.make import make_base

    target = container_directory / "base"
    make_base(target)
    return target


@pytest.fixture(scope="session")
def system(
    postgres_server: PrivatePostgres,
    migrated_template: str,
    rabbit_server: PrivateRabbit,
    sample_channel: Path,
    base_image_directory: Path,
    ui_directory: Path,
) -> Iterator[System]:
    """All five services, running for the whole session."""
    name = "journeys"
    with psycopg.connect(postgres_server.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"')
    with running_system(
        database_url=postgres_server.database_url(name),
        amqp_url=rabbit_server.add_virtual_host(f"journeys-{secrets.token_hex(4)}"),
        channel=sample_channel,
        CONDARIUM_BASE_IMAGE=str(base_image_directory),
        CONDARIUM_UI=str(ui_directory),
        CONDARIUM_WATCHER_RESCAN_SECONDS="2",
    ) as system:
        yield system


@pytest.fixture
def fragile(
    postgres_server: PrivatePostgres,
    rabbit_server: PrivateRabbit,
    database_url: str,
    amqp_url: str,
    sample_channel: Path,
    base_image_directory: Path,
) -> Iterator[System]:
    """A system of the test's own, to break."""
    with running_system(
        database_url=database_url,
        amqp_url=amqp_url,
        channel=sample_channel,
        CONDARIUM_BASE_IMAGE=str(base_image_directory),
        CONDARIUM_LEASE_SECONDS="5",
        CONDARIUM_RETRY_BASE_SECONDS="0.5",
    ) as system:
        yield system

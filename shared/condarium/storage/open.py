"""CONDARIUM_STORAGE_URL to a storage."""

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from condarium.errors import ConfigError
from condarium.storage.filesystem import FileStorage
from condarium.storage.memory import MemoryStorage
from condarium.storage.port import Storage
from condarium.storage.s3 import S3Address, S3Storage

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_HOST = re.compile(r"[A-Za-z0-9._-]+\Z|[0-9a-fA-F:.]+\Z")
_FORMS = (
    "allowed are file:///directory, s3://KEY:SECRET@host:port/bucket?secure=false&region=...&external=http://host:port "
    "and memory://"
)


def open_storage(url: str) -> Storage:
    """The storage at `url`; nothing is reached or made yet, see `Storage.prepare`.

    Raises:
        ConfigError: with what is wrong, never with the secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"the storage URL cannot be read; {_FORMS}") from None
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.path == "/":
            raise ConfigError(f"the storage URL names no directory of this host; {_FORMS}")
        return FileStorage(Path(unquote(parts.path)))
    if parts.scheme == "memory":
        return MemoryStorage()
    if parts.scheme == "s3":
        try:
            return S3Storage(_s3_address(parts, port))
        except ValueError:
            raise ConfigError(f"the storage URL's host or region is none; {_FORMS}") from None
    raise ConfigError(f"the storage URL begins with {parts.scheme[:20]!r}; {_FORMS}")


def _s3_address(parts: SplitResult, port: int | None) -> S3Address:
    bucket = parts.path.strip("/")
    host = parts.hostname or ""
    if not _HOST.match(host) or not bucket or "/" in bucket or not parts.username or not parts.password:
        raise ConfigError(f"the storage URL needs a key, a secret, a host and one bucket; {_FORMS}")
    if not _BUCKET.match(bucket):
        raise ConfigError(f"{bucket[:80]!r} is no bucket: 3 to 63 of a-z 0-9 . - are, the first and last no . or -")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - {"secure", "region", "external"})
    if unknown:
        raise ConfigError(f"the storage URL has the unknown options {', '.join(unknown)}; {_FORMS}")
    secure = options.get("secure", "true").lower()
    if secure not in {"true", "false"}:
        raise ConfigError("the storage URL's option secure is true or false")
    external, external_secure = _external(options.get("external"))
    host = f"[{host}]" if ":" in host else host
    return S3Address(
        endpoint=host if port is None else f"{host}:{port}",
        bucket=bucket,
        access_key=unquote(parts.username),
        secret_key=unquote(parts.password),
        secure=secure == "true",
        region=options.get("region") or "us-east-1",
        external=external,
        external_secure=external_secure,
    )


def _external(url: str | None) -> tuple[str | None, bool]:
    """host:port and whether it is https; S3 signs the path, so that none may stand before the bucket."""
    if not url:
        return None, True
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or "@" in parts.netloc:
        raise ConfigError("the storage URL's option external is http(s)://host:port without a path or a user")
    return parts.netloc, parts.scheme == "https"

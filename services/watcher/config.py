"""The watcher's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condarium.domain.naming import check_name
from condarium.errors import ConfigError, InvalidInput

NAME = "CONDARIUM_WATCHER_DIRECTORIES"


@dataclass(frozen=True)
class Settings:
    """Out of the register; see `condarium.register` for the sentences."""

    database_url: str
    amqp_url: str
    log_level: str
    bind: str
    health_port: int
    database_pool_size: int
    platforms: tuple[str, ...]
    watcher_directories: Mapping[str, tuple[str, ...]]
    watcher_rescan_seconds: float
    watcher_quiet_seconds: float
    watcher_polling: str
    channel_alias: str
    channel_mirrors: Mapping[str, tuple[str, ...]]
    channel_mirror_labels: Mapping[str, Any]
    channel_credentials: Mapping[str, Any]
    index_seconds: float
    lease_seconds: float
    heartbeat_seconds: float
    poll_seconds: float
    max_attempts: int
    retry_base_seconds: float
    retry_cap_seconds: float
    #: opens the credentials of channels that are kept in the database
    secret: str | None = None
    secret_previous: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: Path | None = None

    def roots(self) -> dict[str, tuple[Path, ...]]:
        """The directories of each namespace. Raises ConfigError for a bad namespace or a relative path."""
        found: dict[str, tuple[Path, ...]] = {}
        for namespace, directories in self.watcher_directories.items():
            try:
                check_name("namespace", namespace)
            except InvalidInput as error:
                raise ConfigError(f"{NAME}: {error}") from error
            for directory in directories:
                if not directory.startswith("/"):
                    raise ConfigError(f"{NAME}: {directory!r} of {namespace} is not allowed; expected an absolute path")
            found[namespace] = tuple(dict.fromkeys(Path(directory) for directory in directories))
        return found

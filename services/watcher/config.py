"""The watcher's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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

"""The builder's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condarium.domain.build import RetryPolicy
from condarium.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """Out of the register; see `condarium.register` for the sentences."""

    database_url: str
    amqp_url: str
    secret: str
    store: Path
    log_level: str
    bind: str
    health_port: int
    database_pool_size: int
    channel_alias: str
    default_channels: tuple[str, ...]
    channel_mirrors: Mapping[str, tuple[str, ...]]
    channel_mirror_labels: Mapping[str, Any]
    channel_credentials: Mapping[str, Any]
    platforms: tuple[str, ...]
    virtual_packages: Mapping[str, tuple[str, ...]]
    link_scripts: bool
    lease_seconds: float
    heartbeat_seconds: float
    poll_seconds: float
    max_attempts: int
    retry_base_seconds: float
    retry_cap_seconds: float
    builder_slots: int
    builder_solve_slots: int
    builder_time_limit_seconds: float
    builder_solve_limit_seconds: float
    builder_drain_seconds: float
    builder_memory_bytes: int
    builder_disk_soft_percent: float
    builder_disk_hard_percent: float
    builder_log_bytes: int
    artifacts: tuple[str, ...]
    secret_previous: str | None = None
    cache: Path | None = None
    pip_index_url: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: Path | None = None

    def __post_init__(self) -> None:
        if self.heartbeat_seconds >= self.lease_seconds:
            raise ConfigError(
                f"CONDARIUM_HEARTBEAT_SECONDS: {self.heartbeat_seconds:g} must be less than "
                f"CONDARIUM_LEASE_SECONDS, {self.lease_seconds:g}, or every lease ends before it is extended"
            )
        if self.builder_disk_soft_percent > self.builder_disk_hard_percent:
            raise ConfigError(
                f"CONDARIUM_BUILDER_DISK_SOFT_PERCENT: {self.builder_disk_soft_percent:g} must not be more than "
                f"CONDARIUM_BUILDER_DISK_HARD_PERCENT, {self.builder_disk_hard_percent:g}"
            )

    @property
    def package_cache(self) -> Path:
        """On the store's own file system unless set otherwise, so that packages are hard-linked."""
        return self.cache or self.store / ".cache"

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(self.max_attempts, self.retry_base_seconds, self.retry_cap_seconds)

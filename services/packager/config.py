"""The packager's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condarium.domain.build import RetryPolicy


@dataclass(frozen=True)
class Settings:
    """Out of the register; see `condarium.register` for the sentences."""

    database_url: str
    amqp_url: str
    storage_url: str
    secret: str
    log_level: str
    bind: str
    health_port: int
    database_pool_size: int
    channel_alias: str
    channel_mirrors: Mapping[str, tuple[str, ...]]
    channel_mirror_labels: Mapping[str, Any]
    channel_credentials: Mapping[str, Any]
    lease_seconds: float
    heartbeat_seconds: float
    poll_seconds: float
    max_attempts: int
    retry_base_seconds: float
    retry_cap_seconds: float
    packager_slots: int
    packager_cache: Path
    packager_cache_bytes: int
    layer_budget: int
    packager_publish_slots: int = 2
    secret_previous: str | None = None
    base_image: Path | None = None
    pip_index_url: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: Path | None = None

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(self.max_attempts, self.retry_base_seconds, self.retry_cap_seconds)

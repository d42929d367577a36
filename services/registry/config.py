"""The registry's settings."""

from dataclasses import dataclass
from typing import Any

from condarium.domain.defaults import Defaults


@dataclass(frozen=True)
class Settings:
    """Out of the register; see `condarium.register` for the sentences."""

    database_url: str
    amqp_url: str
    storage_url: str
    secret: str
    admin_token: str
    log_level: str
    bind: str
    registry_port: int
    registry_wait_seconds: float
    poll_seconds: float
    database_pool_size: int
    default_namespace: str
    anonymous_bindings: dict[str, Any]
    authenticated_bindings: dict[str, Any]
    service_tokens: dict[str, Any]
    trusted_proxies: tuple[str, ...] = ()


def defaults(settings: Settings) -> Defaults:
    """What everybody may do. Raises ConfigError."""
    return Defaults(
        settings.admin_token,
        settings.default_namespace,
        settings.anonymous_bindings,
        settings.authenticated_bindings,
        settings.service_tokens,
    )

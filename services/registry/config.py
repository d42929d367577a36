"""The registry's settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condarium.domain.defaults import Defaults
from condarium.http.server import Tls
from services.registry.rates import BLOBS, MANIFESTS, Limits

#: the register's default: nobody has said how clients reach the registry
UNSET_EXTERNAL = "127.0.0.1:5000"


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
    registry_external: str = UNSET_EXTERNAL
    registry_manifests_per_minute: int = 0
    registry_blobs_per_minute: int = 0
    registry_anonymous_manifests_per_minute: int = 0
    registry_anonymous_blobs_per_minute: int = 0
    login_address_attempts: int = 50
    login_window_seconds: float = 300
    registry_tls_certificate: Path | None = None
    registry_tls_key: Path | None = None


def defaults(settings: Settings) -> Defaults:
    """What everybody may do. Raises ConfigError."""
    return Defaults(
        settings.admin_token,
        settings.default_namespace,
        settings.anonymous_bindings,
        settings.authenticated_bindings,
        settings.service_tokens,
    )


def limits(settings: Settings) -> dict[str, Limits]:
    """How much may be asked for, by kind of request."""
    return {
        MANIFESTS: Limits(settings.registry_anonymous_manifests_per_minute, settings.registry_manifests_per_minute),
        BLOBS: Limits(settings.registry_anonymous_blobs_per_minute, settings.registry_blobs_per_minute),
    }


def tls(settings: Settings) -> Tls | None:
    """The certificate, when there is one. Raises ConfigError for files that are no pair."""
    if settings.registry_tls_certificate is None and settings.registry_tls_key is None:
        return None
    return Tls.load(
        settings.registry_tls_certificate,
        settings.registry_tls_key,
        names=("CONDARIUM_REGISTRY_TLS_CERTIFICATE", "CONDARIUM_REGISTRY_TLS_KEY"),
    )

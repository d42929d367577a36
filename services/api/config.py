"""The gateway's settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from condarium.domain.defaults import Defaults


@dataclass(frozen=True)
class Settings:
    """Each field is `CONDARIUM_<FIELD>`; see `condarium.register` for what they mean."""

    database_url: str
    amqp_url: str
    storage_url: str
    secret: str
    admin_token: str
    log_level: str
    bind: str
    external_url: str
    registry_external: str
    database_pool_size: int
    default_namespace: str
    anonymous_bindings: dict[str, Any]
    authenticated_bindings: dict[str, Any]
    service_tokens: dict[str, Any]
    platforms: tuple[str, ...]
    api_port: int
    api_url_prefix: str
    api_max_body_bytes: int
    api_solve_seconds: float
    api_solve_fresh_seconds: float
    api_solves_per_principal: int
    audit_retention_days: float
    ui: Path | None = None


@dataclass(frozen=True)
class LoginSettings:
    """How people and programs log in, in the same form."""

    token_seconds: int
    token_max_seconds: int
    development_login: bool
    login_provider: str
    login_scopes: tuple[str, ...]
    login_username_claim: str
    login_allowed: dict[str, tuple[str, ...]]
    login_bindings: dict[str, Any]
    login_attempts: int
    login_address_attempts: int
    login_window_seconds: float
    allowed_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    login_issuer: str | None = None
    login_client_id: str | None = None
    login_client_secret: str | None = None


def defaults(settings: Settings) -> Defaults:
    """What everybody may do. Raises ConfigError."""
    return Defaults(
        settings.admin_token,
        settings.default_namespace,
        settings.anonymous_bindings,
        settings.authenticated_bindings,
        settings.service_tokens,
    )

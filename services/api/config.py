"""The gateway's settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from condarium.config import is_loopback
from condarium.domain.defaults import Defaults
from condarium.domain.login_claims import Rules
from condarium.errors import ConfigError
from condarium.http.origins import allowed_origins
from condarium.http.proxies import networks


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
    secret_previous: str | None = None


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
    login_client_secret: str | None = field(default=None, repr=False)
    ca_bundle: Path | None = None


def login_rules(login: LoginSettings) -> Rules:
    """What the login provider's claims give. Raises ConfigError."""
    usual = {"github": "login", "jupyterhub": "name"}.get(login.login_provider, "preferred_username")
    return Rules(login.login_username_claim or usual, login.login_allowed, login.login_bindings)


def check_login(settings: Settings, login: LoginSettings) -> None:
    """Raises ConfigError for settings of the login that do not go together."""
    networks(login.trusted_proxies)
    allowed_origins(login.allowed_origins)
    login_rules(login)
    if login.development_login and not is_loopback(settings.bind):
        raise ConfigError(
            f"CONDARIUM_DEVELOPMENT_LOGIN is for one machine only, and CONDARIUM_BIND is {settings.bind}: bind to "
            "127.0.0.1, or configure a login provider (docs/login.md)"
        )
    if login.login_provider == "none":
        return
    needed = {
        "CONDARIUM_LOGIN_CLIENT_ID": login.login_client_id,
        "CONDARIUM_LOGIN_CLIENT_SECRET": login.login_client_secret,
    }
    if login.login_provider != "github":
        needed["CONDARIUM_LOGIN_ISSUER"] = login.login_issuer
    elif not login.login_allowed:
        raise ConfigError(
            "CONDARIUM_LOGIN_ALLOWED is not set: with CONDARIUM_LOGIN_PROVIDER=github everybody who has an account "
            'there could log in; say who may, such as {"groups": ["our-organization"]}, or {"login": ["*"]} for all'
        )
    for name, value in needed.items():
        if not value:
            raise ConfigError(f"{name} is not set: CONDARIUM_LOGIN_PROVIDER={login.login_provider} needs it")


def defaults(settings: Settings) -> Defaults:
    """What everybody may do. Raises ConfigError."""
    return Defaults(
        settings.admin_token,
        settings.default_namespace,
        settings.anonymous_bindings,
        settings.authenticated_bindings,
        settings.service_tokens,
    )

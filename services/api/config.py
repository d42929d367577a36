"""The gateway's settings."""

from dataclasses import dataclass
from pathlib import Path


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
    platforms: tuple[str, ...]
    api_port: int
    api_url_prefix: str
    api_max_body_bytes: int
    ui: Path | None

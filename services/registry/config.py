"""The registry's settings."""

from dataclasses import dataclass


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

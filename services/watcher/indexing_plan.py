"""What of the settings the package index needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from condarium import log
from condarium.conda.channels import ChannelSettings
from condarium.database import settings as levels
from condarium.domain.build import RetryPolicy
from condarium.domain.package_index import CHANNELDATA
from condarium.domain.sealing import Vault
from condarium.errors import InputFault
from services.watcher.config import Settings

NOARCH = "noarch"

logger = log.get(__name__)


@dataclass(frozen=True)
class Wish:
    """What administrators want indexed now: canonical URLs, and the parts of each."""

    urls: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How it is indexed, how often, and what happens when it cannot be; times in seconds.

    `deployment` is `Deployment.values`; global settings over REST go before it.
    """

    deployment: Mapping[str, Any]
    channels: ChannelSettings
    vault: Vault | None
    every_seconds: float
    lease_seconds: float
    heartbeat_seconds: float
    poll_seconds: float
    retry: RetryPolicy

    def wish(self, session: Session) -> Wish:
        """By the settings of now."""
        found = levels.effective(session, deployment=self.deployment)
        channels = replace(self.channels, alias=found["conda_channel_alias"])
        platforms = found["conda_platforms"] or [*found["conda_solve_platforms"], NOARCH]
        return Wish(_urls(found["conda_indexed_channels"], channels), tuple(dict.fromkeys((*platforms, CHANNELDATA))))


def make_plan(settings: Settings, deployment: Mapping[str, Any]) -> Plan:
    return Plan(
        deployment=deployment,
        channels=ChannelSettings(
            alias=settings.channel_alias,
            mirrors=settings.channel_mirrors,
            labels=settings.channel_mirror_labels,
            credentials=settings.channel_credentials,
        ),
        vault=Vault(settings.secret, settings.secret_previous) if settings.secret else None,
        every_seconds=settings.index_seconds,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        poll_seconds=settings.poll_seconds,
        retry=RetryPolicy(settings.max_attempts, settings.retry_base_seconds, settings.retry_cap_seconds),
    )


def _urls(names: Sequence[str], channels: ChannelSettings) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        try:
            found.update(dict.fromkeys(channels.resolve([name])))
        except InputFault as error:
            logger.warning("a channel cannot be indexed", channel=name, reason=str(error))
    return tuple(found)

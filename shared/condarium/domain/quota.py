"""What a namespace uses, what it may use, and the sentence when that is too much."""

from dataclasses import dataclass

from condarium.errors import QuotaExceeded


@dataclass(frozen=True)
class Usage:
    """Bytes are counted once for the namespace, however many of its builds share them.

    `exclusive` ones no other namespace uses: they are free once this one is gone. `shared` ones (packages that
    prefixes link to, layers and members of archives) others use too. `measured` of None: not measured yet.
    """

    environments: int = 0
    builds: int = 0
    #: builds that are queued or running
    active: int = 0
    exclusive: int = 0
    shared: int = 0

    @property
    def bytes(self) -> int:
        return self.exclusive + self.shared


@dataclass(frozen=True)
class Quota:
    """None is no limit."""

    builds: int | None = None
    bytes: int | None = None
    concurrent_builds: int | None = None

    @property
    def limits(self) -> bool:
        """Whether there is any limit."""
        return (self.builds, self.bytes, self.concurrent_builds) != (None, None, None)


def left(limit: int | None, used: int) -> int | None:
    """What may still be used; None without a limit."""
    return None if limit is None else max(0, limit - used)


def check_submission(namespace: str, quota: Quota, usage: Usage) -> None:
    """Whether one more build may be asked for. Raises QuotaExceeded that says which limit, and how much is used."""
    if quota.builds is not None and usage.builds >= quota.builds:
        raise QuotaExceeded(
            f"the namespace {namespace} has {_builds(usage.builds)}, and its quota is {quota.builds}; delete builds or "
            "environments that nobody needs, or ask an administrator for more (quota_builds)"
        )
    if quota.bytes is not None and usage.bytes >= quota.bytes:
        raise QuotaExceeded(
            f"the namespace {namespace} uses {_size(usage.bytes)}, and its quota is {_size(quota.bytes)}; delete "
            "builds or environments that nobody needs, or ask an administrator for more (quota_bytes)"
        )
    check_start(namespace, quota, usage)


def check_start(namespace: str, quota: Quota, usage: Usage) -> None:
    """Whether one more build may be queued. Raises QuotaExceeded."""
    if quota.concurrent_builds is not None and usage.active >= quota.concurrent_builds:
        raise QuotaExceeded(
            f"the namespace {namespace} has {_builds(usage.active)} queued or running, and its quota is "
            f"{quota.concurrent_builds}; wait until one has ended, or cancel one (quota_concurrent_builds)"
        )


def _builds(count: int) -> str:
    return f"{count} build" if count == 1 else f"{count} builds"


def _size(count: int) -> str:
    return f"{count:,} bytes ({count / 1e9:.2f} GB)" if count >= 10_000_000 else f"{count:,} bytes"

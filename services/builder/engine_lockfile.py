"""The phase that stands in place of the solve where the specification is a lockfile."""

from pathlib import Path

from condarium.conda.channels import ChannelSettings
from condarium.conda.disk import REPODATA
from condarium.conda.locked import Assumed, Desk, read_lock
from condarium.domain.lock import Lock
from condarium.domain.lockfile import Lockfile
from services.builder.engine_report import Report
from services.builder.job import Job


async def read_locks(job: Job, settings: ChannelSettings, report: Report) -> dict[str, Lock]:
    """The lock of every platform of the job's lockfile. Raises InputFault, WorldFault."""
    assert job.lockfile is not None
    lockfile = Lockfile.from_wire(job.lockfile)
    desk = Desk(settings, Path(job.cache) / REPODATA / settings.scope, job.staging / "archives")
    options = {"link_scripts": True} if job.link_scripts else {}
    locks = {}
    for platform in lockfile.platforms:
        assumed = Assumed(job.virtual_packages.get(platform, ()), options)
        locks[platform] = await read_lock(lockfile, platform, desk, assumed)
        found = locks[platform]
        report.log(f"{len(found.conda)} packages and {len(found.pypi)} wheels for {platform}, as the lockfile says")
    return locks

"""Jobs out of rows and settings, with the credentials that each of them needs and no others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from condarium.conda.channels import ChannelSettings
from condarium.domain.build import EXCLUDE_NEWER
from condarium.domain.lockfile import CONDA, Lockfile
from condarium.domain.sealing import Vault
from condarium.work import channel_access
from services.builder.handlers import Task, Work
from services.builder.job import Job, host_platform

if TYPE_CHECKING:
    from services.builder.solving import SolveTask


def make_job(work: Work, task: Task) -> Job:
    """The job of one attempt of a build. Raises WorldFault for a credential that cannot be decrypted, Unavailable."""
    identity: dict[str, Any] = {
        "build_id": task.build_id,
        "attempt": task.attempt,
        "namespace": task.namespace,
        "name": task.name,
    }
    return _with_access(work, Job(**identity, spec=task.specification, **_settings(work, task.settings)), task.settings)


def make_solve_job(work: Work, task: "SolveTask") -> Job:
    """The job of a solve: what a build of that specification in that namespace would be given. Raises the same."""
    identity: dict[str, Any] = {
        "build_id": task.held.id,
        "attempt": task.held.attempt,
        "namespace": task.namespace,
        "name": "solve",
    }
    settings = _settings(work, task.settings)
    job = Job(**identity, spec=task.specification, **settings, only_solve=True, repodata=task.repodata)
    return _with_access(work, job, task.settings)


def _with_access(work: Work, job: Job, chosen: Mapping[str, Any]) -> Job:
    """Looked up for every job anew: what was rotated holds from the next one on."""
    settings = work.settings
    given = ChannelSettings(
        alias=chosen.get("conda_channel_alias", settings.channel_alias),
        mirrors=settings.channel_mirrors,
        labels=settings.channel_mirror_labels,
        credentials=settings.channel_credentials,
    )
    channels, wheels = list(job.channel_names), []
    if job.lockfile is not None:
        lockfile = Lockfile.from_wire(job.lockfile)
        channels += [*lockfile.channels, *lockfile.package_channels]
        wheels = [item.url for item in lockfile.packages if item.manager != CONDA]
    with work.database.transaction() as session:
        found = channel_access.for_specification(
            session,
            Vault(settings.secret, settings.secret_previous),
            given,
            namespace=job.namespace,
            channels=channels,
            dependencies=job.dependencies,
            index_url=job.pip_index_url if job.pip or wheels else None,
            wheels=wheels,
        )
    return replace(job, channels=found.to_json())


def _settings(work: Work, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What all jobs have in common; `chosen` (`policy.engine`) held when it was asked for, the rest is ours."""
    settings = work.settings
    virtual: Mapping[str, Sequence[str]] = chosen.get("virtual_packages", settings.virtual_packages)
    return {
        "store": str(work.store.directory),
        "cache": str(settings.package_cache),
        "store_platform": host_platform(),
        "default_platforms": tuple(settings.platforms),
        "default_channels": tuple(settings.default_channels),
        "virtual_packages": {name: tuple(texts) for name, texts in virtual.items()},
        "pip_index_url": settings.pip_index_url,
        "link_scripts": chosen.get("link_scripts", settings.link_scripts),
        "solve_seconds": chosen.get("conda_max_solve_time", settings.builder_solve_limit_seconds),
        "memory_bytes": settings.builder_memory_bytes,
        "exclude_newer": chosen.get(EXCLUDE_NEWER),
    }

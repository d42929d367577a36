"""Lockfiles, the pinned environment.yml, and the log: small texts, put into storage under conda-store's keys.

What takes milliseconds is rendered here; YAML of many packages and what needs rattler, by a child.
"""

from condarium.conda.lockfiles.conda_lock import conda_lock_json
from condarium.conda.lockfiles.environment import environment_yml
from condarium.database import logs
from condarium.domain.artifact import ArtifactType, artifact_key
from condarium.domain.redaction import redact
from services.packager.children import Desk
from services.packager.handlers import Made, Task, Work
from services.packager.jobs import TextJob

#: by a child, in the format's own name
_FORMATS = {
    ArtifactType.CONDA_LOCK: "conda-lock",
    ArtifactType.EXPLICIT: "explicit",
    ArtifactType.RATTLER_LOCK: "rattler-lock",
}
_PAGE = 500


def make_text(work: Work, children: Desk, task: Task) -> Made:
    """Raises WorldFault, InputFault, Unavailable."""
    key = artifact_key(task.artifact, task.build.key)
    if task.artifact in _FORMATS:
        every = [task.locks[platform] for platform in sorted(task.locks)]
        locks = [task.main_lock] if task.artifact == ArtifactType.EXPLICIT else every
        made = children.run(TextJob(_FORMATS[task.artifact], locks, key, mirrored(work, task)))
        return Made(made["digest"], made["size"], key)
    text = redact(_text(work, task), (*work.channels.secrets(), *children.channels.secrets()))
    stored = work.storage.put(key, text.encode())
    return Made(stored.sha256, stored.size, key)


def _text(work: Work, task: Task) -> str:
    if task.artifact == ArtifactType.LOCKFILE:
        return conda_lock_json(list(task.locks.values()))
    if task.artifact == ArtifactType.YAML:
        return environment_yml(
            task.main_lock, task.environment, description=task.description, mirrored=mirrored(work, task)
        )
    return _log(work, task)


def mirrored(work: Work, task: Task) -> dict[str, str]:
    """What the mirrors of the locks' channels are called, by canonical URL."""
    channels = {url for lock in task.locks.values() for url in lock.channels if work.channels.is_mirrored(url)}
    return {url: work.channels.label(url) for url in sorted(channels)}


def _log(work: Work, task: Task) -> str:
    """The chunks of all attempts, in the order in which they were written."""
    parts: list[str] = []
    after = 0
    while True:
        with work.database.transaction() as session:
            page = logs.chunks(session, task.build_id, after=after, limit=_PAGE)
        if not page:
            return "".join(parts)
        parts.extend(chunk.text for chunk in page)
        after = page[-1].id

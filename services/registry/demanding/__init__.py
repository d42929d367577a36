"""Images by packages: which build answers a pull, and whether another one has to be started (docs/on-demand.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.orm import Session

from condarium.database import builds, environments, image_tags, namespaces, on_demand, settings
from condarium.database.on_demand import Known, Standing
from condarium.database.settings import Place
from condarium.domain.artifact import ArtifactType
from condarium.domain.build import FINAL, Status
from condarium.domain.on_demand.tags import ALLOWED, Frozen, end_of, parse_tag
from condarium.domain.settings import Effective
from condarium.domain.tags import HashPrefix, ambiguity, choose, twin_of
from condarium.errors import InvalidInput, NotAuthorized, TooManyRequests
from condarium.work import policy
from services.registry.demanding.starting import Puller, start
from services.registry.faults import ManifestUnknown
from services.registry.handlers import Found, Pending, image_of
from services.registry.names import Repository

__all__ = ["Puller", "find_image", "note_pull"]

#: a failed build is tried again only after this long: docker asks twice for what it cannot get
AGAIN_SECONDS = 30.0


def find_image(
    session: Session,
    repository: Repository,
    tag: str,
    puller: Puller,
    *,
    deployment: Mapping[str, Any] = policy.UNKNOWN,
) -> Found | Pending:
    """The image that a tag of an on-demand repository means; asks for it when there is none that is fresh.

    Raises ManifestUnknown with the reason when there can be none; NameInvalid, Denied, Unauthorized and TooManyBuilds
    when no build may be started and none has answered before.
    """
    plain = twin_of(tag)
    kind = ArtifactType.DOCKER_MANIFEST if plain is None else ArtifactType.DOCKER_MANIFEST_ZSTD
    try:
        wanted = parse_tag(plain or tag, today=datetime.now(UTC).date())
    except InvalidInput as error:
        raise ManifestUnknown(f"{repository.text}: {error}") from None
    pull = _Pull(session, repository, puller, kind, deployment)
    if isinstance(wanted, HashPrefix):
        return pull.by_lock(wanted.digits)
    return pull.by_day(wanted.day if isinstance(wanted, Frozen) else None)


@dataclass(frozen=True)
class _Pull:
    """One look of one pull, in one transaction."""

    session: Session
    repository: Repository
    puller: Puller
    kind: ArtifactType
    deployment: Mapping[str, Any] = field(repr=False)

    def by_day(self, day: date | None) -> Found | Pending:
        """None is now."""
        answer = self._answer(day)
        if answer is None:
            # two pulls at the same time start one build: the second looks again when the first has committed
            image_tags.hold_name(self.session, self.repository.namespace, self.repository.environment)
            self.session.expire_all()
            answer = self._answer(day)
        return self._start(day) if answer is None else answer

    def by_lock(self, digits: str) -> Found | Pending:
        environment = environments.find(self.session, self.repository.namespace, self.repository.environment)
        every = image_tags.candidates(self.session, environment, digits) if environment else []
        found = choose(digits, (candidate for candidate in every if candidate.kind == "lock"))
        if len(found) > 1:
            raise ManifestUnknown(ambiguity(digits, found))
        build_id = image_tags.by_hash(self.session, environment, found[0]) if environment and found else None
        if build_id is None:
            raise ManifestUnknown(f"{self.repository.text} has no answer with the lock hash {digits}; {ALLOWED}")
        return self._image(build_id, found[0].sha256)

    def _answer(self, day: date | None) -> Found | Pending | None:
        """What is there or under way; None when a build has to be started."""
        standing = self._standing(day)
        completed, newest = standing.completed, standing.newest
        if completed is not None and (completed.id in self.puller.waited or self._is_fresh(completed, day)):
            return self._image(completed.id)
        if newest is None or newest.status == Status.COMPLETED:
            return None
        if newest.status not in FINAL:
            return self._wait(newest.id, completed)
        if newest.id not in self.puller.waited and (newest.age or 0) >= AGAIN_SECONDS:
            return None
        # what cannot be solved any more is served as it was; what never could be says why
        return self._image((completed or newest).id)

    def _standing(self, day: date | None) -> Standing:
        environment = environments.find(self.session, self.repository.namespace, self.repository.environment)
        return Standing() if environment is None else on_demand.standing(self.session, environment, day)

    def _is_fresh(self, completed: Known, day: date | None) -> bool:
        """A day that was over when it was asked for is answered once and for all."""
        if day is not None and completed.scheduled_on > end_of(day):
            return True
        return (completed.age or 0) < int(self._settings()["on_demand_fresh_seconds"])

    def _start(self, day: date | None) -> Found | Pending:
        """Starts a build, if the puller may; else what was there before is served."""
        completed = self._standing(day).completed
        try:
            with self.session.begin_nested():
                build_id = start(self.session, self.repository, day, self._settings(), self.puller, self.deployment)
        except (NotAuthorized, TooManyRequests):
            if completed is None:
                raise
            return self._image(completed.id)
        return self._wait(build_id, completed)

    def _wait(self, build_id: int, completed: Known | None) -> Found | Pending:
        """What takes too long is answered with what there was before."""
        self.puller.waited.add(build_id)
        if completed is not None and builds.load(self.session, build_id).status in (Status.FAILED, Status.CANCELED):
            return self._image(completed.id)  # it has ended since we looked
        found = self._image(build_id)
        if isinstance(found, Found) or completed is None:
            return found
        before = self._image(completed.id)
        return Pending(found.build_id, found.what, before if isinstance(before, Found) else None)

    def _image(self, build_id: int, lock_hash: str | None = None) -> Found | Pending:
        build = builds.load(self.session, build_id)
        return image_of(self.session, build, lock_hash, actor=self.puller.caller.name, kind=self.kind)

    def _settings(self) -> Effective:
        space = namespaces.find(self.session, self.repository.namespace)
        place = settings.GLOBAL if space is None else Place(space.id, self.repository.environment)
        return settings.effective(self.session, place, deployment=self.deployment)


def note_pull(session: Session, repository: Repository, digest: str) -> None:
    """Whatever is pulled is kept for `keep_on_demand_days` more; `digest` in hex."""
    environment = environments.find(session, repository.namespace, repository.environment)
    build_id = on_demand.build_of_image(session, environment, digest) if environment else None
    if build_id is not None:
        on_demand.pulled(session, build_id)

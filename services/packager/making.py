"""One artifact: made while a thread extends its lease, and brought to an end that is written once."""

import threading
import time
from collections.abc import Callable

from condarium import log, metrics
from condarium.domain.artifact import ArtifactType
from condarium.errors import ConfigError, InputFault, LeaseLost, Unavailable, WorldFault
from services.packager import access, handlers
from services.packager.children import Children
from services.packager.handlers import Made, Task, Work
from services.packager.image import make_image
from services.packager.installer import make_installer
from services.packager.tarball import make_tarball
from services.packager.texts import make_text

logger = log.get(__name__)


class Making:
    """`run` returns when the artifact has gone on, to whatever state."""

    def __init__(self, work: Work, children: Children, task: Task, *, stopping: Callable[[], bool]) -> None:
        self._work = work
        self._children = children
        self._task = task
        self._stopping = stopping
        self._ended = threading.Event()
        self._lost = threading.Event()

    def run(self) -> None:
        task = self._task
        with log.bound(build=task.build_id, artifact=task.artifact.value, attempt=task.attempt):
            beating = threading.Thread(target=self._beat, name=f"lease-{task.held.id}", daemon=True)
            beating.start()
            try:
                self._run()
            except LeaseLost as error:
                logger.warning("the lease is lost; nothing is written", reason=str(error))
                metrics.LEASES_LOST.labels("artifacts").inc()
            finally:
                self._ended.set()
                beating.join()

    def _run(self) -> None:
        work, task = self._work, self._task
        began = time.monotonic()
        try:
            made = self._make()
            self._persist(lambda: handlers.ready(work, task, made))
        except (InputFault, ConfigError) as error:
            said = str(error)
            logger.info("failed", reason=said)
            self._persist(lambda: handlers.failed(work, task, said))
            self._count("FAILED")
        except (WorldFault, Unavailable) as error:
            self._trouble(error)
        except LeaseLost:
            raise
        except Exception as error:
            logger.exception("an artifact failed unexpectedly")
            self._trouble(WorldFault(f"unexpectedly: {type(error).__name__}: {error}"))
        else:
            seconds = time.monotonic() - began
            metrics.ARTIFACT_SECONDS.labels(task.artifact.value).observe(seconds)
            self._count("READY")
            logger.info("ready", seconds=round(seconds, 4), size=made.size, note=made.note)

    def _make(self) -> Made:
        work, task = self._work, self._task
        children = self._children.using(access.channels_of(work, task))
        if task.artifact in access.NEED_BYTES:
            access.show_right(work, children, task)
        match task.artifact:
            case ArtifactType.CONDA_PACK | ArtifactType.CONDA_PACK_ZST:
                return make_tarball(work, children, task, lost=self._lost.is_set)
            case ArtifactType.CONSTRUCTOR_INSTALLER:
                return make_installer(work, children, task, lost=self._lost.is_set)
            case ArtifactType.DOCKER_MANIFEST:
                return make_image(work, children, task, lost=self._lost.is_set)
            case ArtifactType.DOCKER_MANIFEST_ZSTD:
                return make_image(work, children, task, lost=self._lost.is_set, compression="zstd")
            case _:
                return make_text(work, children, task)

    def _trouble(self, error: WorldFault | Unavailable) -> None:
        work, task = self._work, self._task
        if self._stopping():
            handlers.given_back(work, task)
            return
        after = error.retry_after if isinstance(error, WorldFault) else None
        logger.warning("troubled", reason=str(error))
        goes_on = self._persist(lambda: handlers.troubled(work, task, str(error), retry_after=after))
        if not goes_on:
            self._count("FAILED")

    def _count(self, state: str) -> None:
        metrics.ARTIFACTS.labels(self._task.artifact.value, state).inc()

    def _persist(self, write: Callable[[], object]) -> object:
        """Writes, however often it takes: only the loss of the lease makes it pointless."""
        wait = 0.1
        while True:
            try:
                return write()
            except Unavailable:
                if self._lost.is_set() or self._stopping():
                    raise LeaseLost("the database stayed away until the lease had ended") from None
                time.sleep(wait)
                wait = min(2.0, wait * 2)

    def _beat(self) -> None:
        settings = self._work.settings
        extended = time.monotonic()
        while not self._ended.wait(settings.heartbeat_seconds):
            try:
                handlers.beat(self._work, self._task)
                extended = time.monotonic()
            except LeaseLost:
                self._lost.set()
                return
            except Exception as error:
                # Whatever it is, it may pass; a thread that ended here would lose the lease without a word.
                if not isinstance(error, Unavailable):
                    logger.exception("the lease could not be extended; tried again")
                if time.monotonic() - extended > settings.lease_seconds:
                    self._lost.set()
                    return

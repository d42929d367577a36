"""The files that refer to an image, but for what is signed: bills of materials, lockfiles, the log, what changed."""

from collections.abc import Iterator, Sequence

import yaml

from condarium.database.referrers import SubjectOf
from condarium.domain import referrers as media
from condarium.domain.lock import Lock
from condarium.domain.referrers import changes
from condarium.domain.referrers.bill import bill_of
from condarium.domain.referrers.cyclonedx import render_cyclonedx
from condarium.domain.referrers.manifest import Part, Rendered, render_referrer
from condarium.domain.referrers.spdx import render_spdx
from services.packager.children import Desk
from services.packager.handlers import Work
from services.packager.jobs import TextJob
from services.packager.referrers.gathering import Gathered

PLATFORM = "condarium.platform"


class Files:
    """Of one build; what several of its manifests have alike is rendered once."""

    def __init__(self, work: Work, desk: Desk, gathered: Gathered) -> None:
        self._work, self._desk, self._gathered = work, desk, gathered
        self._of_locks: dict[tuple[str, ...], list[Part]] = {}
        self._bills: dict[tuple[str, ...], tuple[bytes, bytes]] = {}
        self._of_build = list(self._about_build())

    def of(self, each: SubjectOf) -> Iterator[Rendered]:
        """Raises WorldFault, Unavailable."""
        if each.platforms not in self._of_locks:
            self._of_locks[each.platforms] = list(self._about_locks(each))
        for file in (*self._of_locks[each.platforms], *self._of_build):
            yield render_referrer(each.subject, file)

    def bills(self, each: SubjectOf) -> tuple[bytes, bytes]:
        """SPDX and CycloneDX."""
        if each.platforms not in self._bills:
            bill = bill_of(self._gathered.locks_of(each))
            self._bills[each.platforms] = render_spdx(bill), render_cyclonedx(bill)
        return self._bills[each.platforms]

    def _about_locks(self, each: SubjectOf) -> Iterator[Part]:
        spdx, cyclonedx = self.bills(each)
        yield _file(spdx, media.SPDX, "sbom.spdx.json")
        yield _file(cyclonedx, media.CYCLONEDX, "sbom.cdx.json")
        locks = self._gathered.locks_of(each)
        yield self._lockfile("conda-lock", locks, media.CONDA_LOCK, "conda-lock.yml")
        yield self._lockfile("rattler-lock", locks, media.RATTLER_LOCK, "pixi.lock")
        for lock in locks:
            yield self._lockfile(
                "explicit", [lock], media.EXPLICIT, f"explicit-{lock.platform}.txt", {PLATFORM: lock.platform}
            )

    def _about_build(self) -> Iterator[Part]:
        gathered = self._gathered
        wanted = {key: value for key, value in gathered.making.specification.items() if value not in (None, "", {}, [])}
        asked = yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=120)
        yield _file(asked.encode(), media.SPECIFICATION, "environment.yml")
        yield _file(gathered.log.encode(), media.LOG, "build.log")
        found = changes.changes_of(gathered.before, gathered.locks)
        before, after = gathered.previous, gathered.making.generation
        markdown = changes.render_markdown(found, before=before, after=after)
        yield _file(markdown, media.CHANGES_MARKDOWN, "package-changes.md")
        document = changes.render_json(found, before=before, after=after)
        yield _file(document, media.CHANGES_JSON, "package-changes.json")

    def _lockfile(
        self, form: str, locks: Sequence[Lock], media_type: str, title: str, more: dict[str, str] | None = None
    ) -> Part:
        """By a child, which stores it."""
        channels = {url for lock in locks for url in lock.channels if self._work.channels.is_mirrored(url)}
        mirrored = {url: self._work.channels.label(url) for url in sorted(channels)}
        made = self._desk.run(TextJob(form, locks, "", mirrored))
        return Part(made["digest"], made["size"], media_type, {media.TITLE: title, **(more or {})})


def _file(content: bytes, media_type: str, title: str) -> Part:
    return Part.of(content, media_type, {media.TITLE: title})

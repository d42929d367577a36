"""The work of the child, phase by phase: solve all platforms, resolve wheels, fetch, link the store's own platform."""

import asyncio
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from condarium.conda import package_cache, pypi, virtual
from condarium.conda.channels import ChannelSettings
from condarium.conda.disk import PACKAGES, REPODATA, WHEELS
from condarium.conda.link import Linked, Place, link
from condarium.conda.repodata.state import state_of
from condarium.conda.solve import Solution, Wish, channels_of, solve_platform
from condarium.conda.uv import Uv
from condarium.domain.canonical import canonical_hash
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.on_demand.tags import end_of
from condarium.errors import InputFault
from services.builder.engine_lockfile import read_locks
from services.builder.engine_report import Answer, Outcome, Report
from services.builder.job import Job


class Engine:
    """One job; `build` is called once."""

    def __init__(self, job: Job, settings: ChannelSettings, report: Report) -> None:
        self.job, self.settings, self.report = job, settings, report
        self._cache = Path(job.cache)
        self._uv = Uv(self._cache / WHEELS / settings.index_scope, settings.index_url(job.pip_index_url))
        self._place = Place(Path(job.store), self._cache, job.namespace, job.name, job.staging)

    async def build(self) -> Outcome:
        """Raises InputFault and WorldFault; `solved` has been told once the locks are complete."""
        fetching: asyncio.Task[None] | None = None
        if self.job.locks is not None:
            locks = {platform: Lock.from_json(lock) for platform, lock in self.job.locks.items()}
        elif self.job.lockfile is not None:
            locks = await self._read_lockfile()
        else:
            with self.report.phase("solve"):
                solutions = await self._solve()
            ours = solutions.get(self.job.store_platform)
            if self.job.pip and ours:
                # The conda packages need not wait for what pip is going to add.
                fetching = asyncio.create_task(self._fetch(ours.records))
            locks = await self._lock(solutions)
        self.report.solved(locks)
        lock = locks.get(self.job.store_platform)
        if lock is None:
            self.report.log(f"Nothing is linked: this store is for {self.job.store_platform}")
            return Outcome(None, None)
        return Outcome(lock, await self._link(lock, fetching))

    async def answer(self) -> Answer:
        """The locks alone, unless the channels are as they were at the answer before. Raises as `build`."""
        if self.job.lockfile is not None:
            self.report.solved(await self._read_lockfile())
            return Answer(None, unchanged=False)
        # Before the solve: what changes meanwhile is seen the next time.
        repodata = await self._repodata()
        if repodata is not None and repodata == self.job.repodata:
            return Answer(repodata, unchanged=True)
        with self.report.phase("solve"):
            solutions = await self._solve()
        self.report.solved(await self._lock(solutions))
        return Answer(repodata, unchanged=False)

    async def _repodata(self) -> str | None:
        """What decides the answer besides the specification; None where that cannot be told."""
        if self.job.pip:
            return None  # an index of wheels does not say whether anything in it changed
        wishes = [self._wish(platform) for platform in self.job.platforms]
        channels = channels_of(wishes[0], self.settings)
        state = await state_of(channels, (*self.job.platforms, "noarch"), self.settings)
        if state is None:
            return None
        wanted = [[wish.platform, wish.channels, wish.virtual] for wish in wishes]
        return canonical_hash([state, wanted, self.job.link_scripts])

    async def _read_lockfile(self) -> dict[str, Lock]:
        assert self.job.lockfile is not None
        with self.report.phase("lockfile"):
            return await read_locks(self.job, self.settings, self.report)

    async def _solve(self) -> dict[str, Solution]:
        wishes = [self._wish(platform) for platform in self.job.platforms]
        mirrored = self.settings.mirror_sentence(wishes[0].channels) if wishes else ""
        for wish in wishes:
            self.report.log(
                f"Solving for {wish.platform}: {', '.join(wish.dependencies)} out of {', '.join(wish.channels)}"
            )
        if mirrored:
            self.report.log(mirrored)
        if self.job.exclude_newer:
            self.report.log(f"Packages newer than {self.job.exclude_newer} are left out")
        repodata = self._cache / REPODATA / self.settings.scope
        found = await asyncio.gather(*(solve_platform(wish, self.settings, repodata) for wish in wishes))
        for solution in found:
            self.report.log(_table(solution))
        return {solution.wish.platform: solution for solution in found}

    def _wish(self, platform: str) -> Wish:
        job = self.job
        try:
            assumed = virtual.assumed(platform, job.virtual_packages.get(platform, ()), job.overrides)
        except ValueError as error:
            raise InputFault(f"Cannot solve for {platform}: {error}.", reason="unsolvable") from None
        return Wish(
            platform=platform,
            channels=self.settings.resolve(job.channel_names),
            dependencies=job.dependencies,
            virtual=assumed,
            seconds=job.solve_seconds,
            exclude_newer=end_of(date.fromisoformat(job.exclude_newer)) if job.exclude_newer else None,
        )

    async def _lock(self, solutions: Mapping[str, Solution]) -> dict[str, Lock]:
        wheels: dict[str, tuple[Wheel, ...]] = {}
        if self.job.pip:
            with self.report.phase("pypi"):
                found = await asyncio.gather(*(self._wheels(solution) for solution in solutions.values()))
                wheels = dict(zip(solutions, found, strict=True))
        options = {"link_scripts": True} if self.job.link_scripts else {}
        return {
            platform: solution.lock(wheels=wheels.get(platform, ()), variables=self.job.variables, options=options)
            for platform, solution in solutions.items()
        }

    async def _wheels(self, solution: Solution) -> tuple[Wheel, ...]:
        platform = solution.wish.platform
        directory = self.job.staging / f"pip-{platform}"
        directory.mkdir()
        wish = pypi.PipWish(
            platform,
            self.job.pip,
            solution.records,
            solution.wish.virtual,
            self.job.solve_seconds,
            refusal=self.settings.refusal(self.job.pip_index_url or "", index=True),
        )
        wheels = await pypi.resolve(wish, self._uv, directory)
        lines = "".join(f"\n  {wheel.name} {wheel.version}" for wheel in wheels)
        self.report.log(f"{len(wheels)} wheels for {platform}:{lines}")
        return wheels

    async def _fetch(self, records: tuple[Record, ...]) -> None:
        with self.report.phase("fetch"):
            packages = self._cache / PACKAGES
            fetched = await package_cache.fill(records, packages, self.settings, progress=self.report.progress)
        if fetched.packages:
            self.report.log(f"Fetched {fetched.packages} packages, {fetched.bytes / 1e6:.1f} MB")

    async def _link(self, lock: Lock, fetching: asyncio.Task[None] | None) -> Linked:
        if fetching is not None:
            await fetching
        elif self.job.mend or not self._place.final(lock).is_dir():
            await self._fetch(lock.conda)
        with self.report.phase("link"):
            linked = await link(
                lock,
                self._place,
                self.settings,
                self._uv,
                link_scripts=self.job.link_scripts,
                mend=self.job.mend,
                log=self.report.log,
            )
        for warning in linked.warnings:
            self.report.log(f"warning: {warning}")
        said = "is there already" if linked.reused else "linked"
        self.report.log(f"{linked.prefix}: {said}, {linked.size.total / 1e6:.1f} MB")
        return linked


def _table(solution: Solution) -> str:
    rows = [(record.name, record.version, record.build) for record in solution.records]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    lines = [f"  {name:<{widths[0]}}  {version:<{widths[1]}}  {build}" for name, version, build in rows]
    return "\n".join([f"{len(rows)} packages for {solution.wish.platform}:", *lines])

"""The watcher's rules, with the real file system, kernel and database; each file is submitted once per meaning."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from condarium.database import Database
from condarium.database.tables import Build, Outbox, WatchedFile
from services.watcher import handlers, sources
from services.watcher.listener import Listener
from services.watcher.watching import Watching
from tests.fixtures.patience import wait_for, within

QUIET = 0.1
#: long enough to prove that nothing comes: several quiet times, and the walk after them
NOTHING = 0.8


def text(name: str, *dependencies: str, description: str = "") -> str:
    lines = "".join(f"  - {item}\n" for item in dependencies or ("python",))
    return f"name: {name}\nchannels: [conda-forge]\ndescription: '{description}'\ndependencies:\n{lines}"


@dataclass
class Watched:
    directory: Path
    database: Database

    def write(self, path: str, content: str) -> Path:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def builds(self) -> list[tuple[str, str]]:
        """(environment, status) in the order of submission."""
        with self.database.transaction() as session:
            rows = session.execute(select(Build).order_by(Build.id)).scalars()
            return [(row.key.split("-", 3)[3], row.status) for row in rows]

    def invalid(self) -> list[dict[str, str]]:
        with self.database.transaction() as session:
            query = select(Outbox.data).where(Outbox.routing_key == "specification.invalid.v1").order_by(Outbox.id)
            return list(session.execute(query).scalars())

    def come(self, count: int, seconds: float = 8) -> list[tuple[str, str]]:
        wait_for(lambda: len(self.builds()) >= count, seconds=seconds, what=f"{count} builds")
        assert len(self.builds()) == count
        return self.builds()

    def stays(self, count: int) -> None:
        time.sleep(NOTHING)
        assert len(self.builds()) == count


@pytest.fixture
def place(tmp_path: Path, database: Database) -> Watched:
    directory = tmp_path / "specs"
    directory.mkdir()
    return Watched(directory, database)


Start = Callable[..., Watching]


@pytest.fixture
def start(place: Watched) -> Iterator[Start]:
    running: list[Watching] = []

    def begin(mode: str = "never", rescan: float = 60, roots: tuple[Path, ...] | None = None) -> Watching:
        def take(source: sources.Source, content: bytes) -> handlers.Outcome:
            return handlers.take(place.database, source, content, platforms=("linux-64",))

        watching = Watching({"team": roots or (place.directory,)}, take, Listener(mode), QUIET, rescan)
        watching.start()
        running.append(watching)
        return watching

    yield begin
    for watching in running:
        watching.stop()


def test_a_new_file_becomes_a_build_within_a_second(place: Watched, start: Start) -> None:
    start()
    time.sleep(0.5)
    place.write("environment.yml", text("demo"))
    # the next walk through all is a minute away
    with within(2):
        assert place.come(1) == [("demo", "QUEUED")]


def test_the_same_content_is_not_submitted_again(place: Watched, start: Start) -> None:
    file = place.write("environment.yml", text("demo", "numpy", "python"))
    start()
    place.come(1)
    os.utime(file)
    file.write_text(file.read_text())
    # other bytes with the same meaning
    file.write_text("# a comment\n" + text("demo", "python", "numpy"))
    place.stays(1)
    file.write_text(text("demo", "numpy"))
    place.come(2)


def test_a_restart_submits_only_what_changed_meanwhile(place: Watched, start: Start) -> None:
    place.write("a/environment.yml", text("a"))
    file = place.write("b/environment.yaml", text("b"))
    first = start()
    place.come(2)
    first.stop()
    file.write_text(text("b", "pandas"))
    start()
    place.come(3)
    place.stays(3)


def test_an_editor_that_renames_over_the_file_is_seen_every_time(place: Watched, start: Start) -> None:
    file = place.write("environment.yml", text("demo"))
    start()
    place.come(1)
    for count, package in ((2, "numpy"), (3, "scipy")):
        swap = place.write(".environment.yml.swp", text("demo", package))
        swap.rename(file)
        place.come(count)


def test_a_checkout_that_deletes_and_writes_again_changes_nothing(place: Watched, start: Start) -> None:
    file = place.write("environment.yml", text("demo"))
    start()
    place.come(1)
    file.unlink()
    time.sleep(QUIET * 3)
    file.write_text(text("demo"))
    place.stays(1)


def test_a_configmap_swap_is_seen(place: Watched, start: Start) -> None:
    """Kubernetes: the file is a link through `..data`, which is swapped; no event ever names the file."""
    place.write("..1/environment.yml", text("demo"))
    (place.directory / "..data").symlink_to("..1")
    (place.directory / "environment.yml").symlink_to("..data/environment.yml")
    start()
    place.come(1)
    place.write("..2/environment.yml", text("demo", "numpy"))
    (place.directory / "..data_tmp").symlink_to("..2")
    (place.directory / "..data_tmp").rename(place.directory / "..data")
    place.come(2)
    with place.database.transaction() as session:
        assert session.execute(select(WatchedFile.path)).scalars().all() == [str(place.directory / "environment.yml")]


def test_files_in_directories_made_at_once_are_found(place: Watched, start: Start) -> None:
    start()
    time.sleep(0.3)
    for number in range(5):
        place.write(f"deep/{number}/x/environment.yml", text(f"env{number}"))
    place.come(5)


def test_rsync_that_keeps_size_and_time_is_seen(place: Watched, start: Start) -> None:
    file = place.write("environment.yml", text("demo", "numpy"))
    start()
    place.come(1)
    found = file.stat()
    other = place.write("other", text("demo", "scipy"))
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert other.stat().st_size == found.st_size
    other.rename(file)
    place.come(2)


def test_a_slow_writer_is_read_when_done(place: Watched, start: Start) -> None:
    start()
    time.sleep(0.3)
    with (place.directory / "environment.yml").open("w") as file:
        for line in text("demo", "numpy", "scipy", "pandas").splitlines(keepends=True):
            file.write(line)
            file.flush()
            time.sleep(QUIET / 3)
    place.come(1)
    assert place.invalid() == []


@pytest.mark.parametrize("mode", ["never", "always"])
def test_what_is_no_specification_is_told_once_and_the_last_good_one_stays(
    place: Watched, start: Start, mode: str
) -> None:
    file = place.write("environment.yml", text("demo"))
    watching = start(mode)
    place.come(1)
    file.write_text("name: demo\nchannels: [conda-forge]\ndependencies:\n  - 'numpy >>= 2'\n")
    wait_for(place.invalid)
    os.utime(file)
    time.sleep(NOTHING)
    (told,) = place.invalid()
    assert (told["namespace"], told["environment"], told["path"]) == ("team", "demo", str(file))
    assert "numpy >>= 2" in told["message"]
    watching.stop()
    start(mode)
    place.stays(1)
    assert len(place.invalid()) == 1
    file.write_text(text("demo"))  # as it was: nothing to build
    place.stays(1)
    file.write_text(text("demo", "numpy"))
    place.come(2)


def test_hostile_files_harm_nobody(place: Watched, start: Start) -> None:
    os.mkfifo(place.directory / "pipe.yml")
    (place.directory / "loop.yml").symlink_to("loop.yml")
    (place.directory / "ring").symlink_to(place.directory)
    place.write("huge.yml", "x" * (3 << 20))
    place.write("binary.yml", "\x00\x01")
    (place.directory / "latin.yml").write_bytes(b"name: caf\xe9\n")
    place.write("bad name/environment.yml", "dependencies: [python]\nchannels: [conda-forge]\n")
    place.write("good.yml", text("good"))
    start()
    assert place.come(1) == [("good", "QUEUED")]
    wait_for(lambda: len(place.invalid()) == 4)
    assert all(len(told["message"]) < 500 for told in place.invalid())


def test_only_specification_files_count(place: Watched, start: Start) -> None:
    for path in (".hidden.yml", ".git/environment.yml", "sub/other.yml", "notes.txt", "environment.yml~"):
        place.write(path, text("no"))
    for path in ("envs/x/environment.yml", "node_modules/environment.yml"):
        place.write(path, text("no"))
    place.write("envs/x/conda-meta/history", "")
    place.write("nameless.yml", "channels: [conda-forge]\ndependencies: [python]\n")
    start()
    assert place.come(1) == [("nameless", "QUEUED")]
    place.stays(1)


def test_a_missing_directory_is_picked_up_when_it_appears_and_again_when_it_is_swapped(
    place: Watched, start: Start, tmp_path: Path
) -> None:
    root = tmp_path / "later"
    start(roots=(root,))
    time.sleep(0.3)
    Watched(tmp_path / "v1", place.database).write("environment.yml", text("demo"))
    root.symlink_to("v1")
    place.come(1)
    Watched(tmp_path / "v2", place.database).write("environment.yml", text("demo", "numpy"))
    (tmp_path / "swap").symlink_to("v2")
    (tmp_path / "swap").rename(root)
    place.come(2)
    (tmp_path / "v2/environment.yml").write_text(text("demo", "scipy"))
    place.come(3)


def test_many_quick_changes_leave_one_waiting_build(place: Watched, start: Start) -> None:
    file = place.write("environment.yml", text("demo"))
    start()
    place.come(1)
    file.write_text(text("demo", "numpy"))
    place.come(2)
    file.write_text(text("demo", "scipy"))
    assert [status for _, status in place.come(3)] == ["CANCELED", "CANCELED", "QUEUED"]
    with place.database.transaction() as session:
        assert "superseded" in (session.execute(select(Build.status_info).order_by(Build.id)).scalars().first() or "")


def test_a_running_build_is_never_superseded(place: Watched, start: Start) -> None:
    file = place.write("environment.yml", text("demo"))
    start()
    place.come(1)
    with place.database.transaction() as session:
        build = session.execute(select(Build)).scalar_one()
        build.status, build.attempt, build.owner = "BUILDING", 1, "b"
    file.write_text(text("demo", "numpy"))
    assert [status for _, status in place.come(2)] == ["BUILDING", "QUEUED"]


def test_two_watchers_submit_once(place: Watched, start: Start) -> None:
    start()
    start()
    time.sleep(0.3)
    for number in range(10):
        place.write(f"{number}/environment.yml", text(f"env{number}"))
    place.come(10)
    place.stays(10)


def test_without_inotify_the_directories_are_read_through(
    place: Watched, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.watcher.listener.RustNotify", refuse)
    start()
    place.write("environment.yml", text("demo"))
    place.come(1)
    place.write("environment.yml", text("demo", "numpy"))
    place.come(2)


def test_a_lost_hint_is_made_up_for_by_reading_through(
    place: Watched, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_hint(self: Listener, seconds: float, stopped: threading.Event) -> bool:
        stopped.wait(seconds)
        return False

    monkeypatch.setattr(Listener, "wait", no_hint)
    start(rescan=0.5)
    time.sleep(0.3)
    place.write("environment.yml", text("demo"))
    place.come(1)


def test_an_outage_of_the_database_forgets_nothing(place: Watched, start: Start) -> None:
    from condarium.errors import Unavailable

    away = threading.Event()
    away.set()
    watching = start()
    honest = watching.take

    def take(source: sources.Source, content: bytes) -> handlers.Outcome:
        if away.is_set():
            raise Unavailable("the database cannot be reached")
        return honest(source, content)

    watching.take = take
    place.write("environment.yml", text("demo"))
    time.sleep(1)
    away.clear()
    place.come(1)

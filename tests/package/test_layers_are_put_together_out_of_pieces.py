"""The packager makes one piece of each package, joins groups out of them, and lays on top what the order got wrong."""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from condarium.database.tables import Image
from condarium.domain.image import OCI_MANIFEST
from condarium.domain.lock import Lock, Record
from condarium.storage import blob_key
from services.packager.children import Ticket, _Lane
from services.packager.jobs import JoinJob, PieceJob, TopJob
from tests.fixtures.environments import SolveSample
from tests.fixtures.packager import RunningPackager, running_packager, store_tiny_base
from tests.fixtures.packages import Put, archive_of, lock_of, make_package
from tests.fixtures.rattler_install import Tree, install_packages, prefix_tree, tar_tree, without_machine_traces
from tests.fixtures.served import Served

Made = Counter[tuple[str, ...]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """What was given to children, in all packagers of this process."""
    count: Made = Counter()
    guard = threading.Lock()
    run = _Lane._run

    def counted(self: _Lane, ticket: Ticket) -> dict[str, Any]:
        job = ticket.job
        with guard:
            if isinstance(job, PieceJob):
                count[job.kind, *(member.name for member in job.members)] += 1
            elif isinstance(job, JoinJob):
                count["join", *(part.digest for part in job.parts)] += 1
            elif isinstance(job, TopJob):
                count["top", job.lock.hash] += 1
        return run(self, ticket)

    monkeypatch.setattr(_Lane, "_run", counted)
    return count


def small(directory: Path, number: int, version: str = "1.0") -> Record:
    name = f"small{number:02}"
    put = Put(f"share/{name}/{version}", f"{name} {version}".encode() * 100)
    return make_package(directory, name, [put], version=version, depends=["small00"] if number else [])


def manifest(packager: RunningPackager, build_id: int) -> dict[str, Any]:
    row = packager.wait(build_id, "DOCKER_MANIFEST")
    with packager.content.database.transaction() as session:
        found = session.get(Image, row.digest)
        assert found is not None
        parsed: dict[str, Any] = json.loads(found.manifest)
    assert parsed["mediaType"] == OCI_MANIFEST
    return parsed


def layers(packager: RunningPackager, build_id: int) -> list[str]:
    return [layer["digest"].removeprefix("sha256:") for layer in manifest(packager, build_id)["layers"]]


def tree(packager: RunningPackager, digests: Sequence[str], directory: Path) -> Tree:
    paths = []
    for digest in digests:
        path = directory / f"{digest}.tar.gz"
        path.write_bytes(packager.read(blob_key(digest)))
        paths.append(path)
    return tar_tree(paths, "opt/env")


def image(packager: RunningPackager, name: str, *locks: Lock, **settings: object) -> int:
    """A build whose image is asked for with these settings."""
    build_id = packager.build(name, *locks, eager=["LOGS"])
    packager.wait(build_id, "LOGS")
    with packager.content.database.transaction() as session:
        values = {"settings": json.dumps(settings), "id": build_id}
        session.execute(text("update builds set settings = cast(:settings as jsonb) where id = :id"), values)
    packager.ask(build_id, "DOCKER_MANIFEST")
    return build_id


def test_a_bumped_small_package_is_one_piece_and_one_join(
    packager: RunningPackager, made: Made, tmp_path: Path
) -> None:
    records = [small(tmp_path, number) for number in range(30)]
    first = layers(packager, image(packager, "env", lock_of(records)))
    singles = {names[1] for names in made if names[0] == "layer"}
    assert singles == {record.name for record in records}
    assert set(made.values()) == {1}
    assert len(first) < 12
    made.clear()
    records[7] = small(tmp_path, 7, "2.0")
    lock = lock_of(records)
    again = layers(packager, image(packager, "env", lock))
    assert made.pop(("layer", "small07")) == 1
    assert [kind for kind, *_ in made] in (["join"], [])  # its group may have been its own
    assert len(set(again) - set(first)) == 2  # that group, and the top with the history
    facts = install_packages([archive_of(record) for record in records], tmp_path / "prefix", as_prefix="/opt/env")
    assert len(facts) == 30
    found, expected = tree(packager, again[1:], tmp_path), prefix_tree(tmp_path / "prefix")
    names = [path for path in expected if not path.startswith("conda-meta")]
    assert {path: found[path] for path in names} == {path: expected[path] for path in names}


def test_many_ask_for_the_same_groups_at_once(content: Served, made: Made, tmp_path: Path) -> None:
    records = [small(tmp_path, number) for number in range(24)]
    with ExitStack() as stack:
        packagers = [stack.enter_context(running_packager(content, tmp_path / f"cache{n}")) for n in range(2)]
        locks = [lock_of(records, variables={"N": str(number)}) for number in range(4)]
        builds = [packagers[0].build(f"env{n}", lock, eager=["DOCKER_MANIFEST"]) for n, lock in enumerate(locks)]
        packagers[1].slots.wake()
        found = [layers(packagers[0], build_id) for build_id in builds]
    assert set(made.values()) == {1}, made
    assert len({tuple(digests[:-1]) for digests in found}) == 1
    assert len({digests[-1] for digests in found}) == 4


def test_clobbered_paths_are_those_of_an_install(packager: RunningPackager, made: Made, tmp_path: Path) -> None:
    puts = {name: [Put("lib/shared", name.encode()), Put(f"lib/{name}")] for name in ("first", "second", "third")}
    records = [make_package(tmp_path, name, puts[name], depends=["first"]) for name in ("second", "third")]
    records.append(make_package(tmp_path, "first", puts["first"]))
    install_packages([archive_of(record) for record in records], tmp_path / "prefix")
    expected = prefix_tree(tmp_path / "prefix")["lib/shared"]
    # as if each were big enough for a layer of its own, in every order of sizes
    for number, sizes in enumerate([(2, 3, 4), (4, 3, 2), (3, 2, 4), (4, 2, 3)]):
        sized = [
            Record({**record.raw, "size": size << 20, "timestamp": number})
            for record, size in zip(records, sizes, strict=True)
        ]
        found = layers(packager, image(packager, f"env{number}", lock_of(sized)))
        assert tree(packager, found[1:], tmp_path)["lib/shared"] == expected
    assert any(kind == "top" for kind, *_ in made)
    made.clear()
    layers(packager, image(packager, "known", lock_of(sized, variables={"A": "1"})))
    assert {kind for kind, *_ in made} <= {"top"}


def test_an_image_has_pyc_files_unless_a_setting_says_no(
    packager: RunningPackager, solve_sample: SolveSample, tmp_path: Path
) -> None:
    solved = solve_sample("python")
    here = [Record({**record.raw, "url": solved.archives[record.sha256].as_uri()}) for record in solved.lock.conda]
    pure = make_package(tmp_path, "pure", [Put("site-packages/pure.py", b"x = 1\n")], noarch="python")
    lock = lock_of([*here, pure])
    with_them = layers(packager, image(packager, "with", lock))
    without = layers(packager, image(packager, "without", lock, image_pyc=False))
    full, plain = tree(packager, with_them[1:], tmp_path), tree(packager, without[1:], tmp_path)
    added = {path for path in full if path not in plain and full[path] != "directory"}
    assert all("/__pycache__/" in path and path.endswith(".cpython-311.pyc") for path in added)
    assert {
        "lib/python3.11/__pycache__/os.cpython-311.pyc",
        "lib/python3.11/site-packages/__pycache__/pure.cpython-311.pyc",
    } <= added
    assert {path: full[path] for path in plain} == plain
    expected = without_machine_traces(plain)
    assert expected == plain

    # For another platform: by the Python of the same version that the build has for this one; else none, and told.
    store_tiny_base(packager.content, "linux-aarch64", b"arm")
    foreign = make_package(tmp_path, "python", [Put("bin/python", b"arm")], version="3.11.7", raw={"subdir": "x"})
    foreign = Record({**foreign.raw, "subdir": "linux-aarch64"})
    arm = lock_of([foreign, pure], platform="linux-aarch64", channels=("https://elsewhere.example",))
    alone = image(packager, "arm", arm)
    said = manifest(packager, alone)
    assert said["annotations"]["condarium.pyc.missing"] == "true"
    row = packager.artifact(alone, "DOCKER_MANIFEST")
    assert "without .pyc files" in (row.reason or "")
    both = image(packager, "both", lock, arm)
    row = packager.wait(both, "DOCKER_MANIFEST")
    assert "without .pyc files" not in (row.reason or "")
    with packager.content.database.transaction() as session:
        rows = session.query(Image).filter(Image.media_type == OCI_MANIFEST).all()
        manifests = [json.loads(row.manifest) for row in rows if "layers" in json.loads(row.manifest)]
    found = [
        tree(packager, [layer["digest"].removeprefix("sha256:") for layer in one["layers"][1:]], tmp_path)
        for one in manifests
    ]
    on_arm = [one for one in found if one.get("bin/python") == (b"arm", False)]
    path = "lib/python3.11/site-packages/__pycache__/pure.cpython-311.pyc"
    assert sorted(path in one for one in on_arm) == [False, True]
    assert next(one[path] for one in on_arm if path in one) == full[path]

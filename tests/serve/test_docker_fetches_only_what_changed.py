"""A small package is bumped, a second environment shares a stack: what a real docker then asks the registry for."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from condarium.database import images
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.lock import Record
from condarium.storage import blob_key
from tests.fixtures import registry as registry_fixture
from tests.fixtures.containers import Client
from tests.fixtures.packager import RunningPackager, running_packager, store_tiny_base
from tests.fixtures.packages import Put, lock_of, make_package
from tests.fixtures.registry import RunningRegistry, running_registry

#: big ones have a layer each; of the stack, and besides
BIG = ("icu", "libstdcxx", "tk", "numpy", "pandas")
STACK = (
    "_libgcc_mutex",
    "bzip2",
    "libexpat",
    "libffi",
    "libgcc",
    "libuuid",
    "libzlib",
    "ncurses",
    "readline",
    "tzdata",
)
OFTEN = ("certifi", "setuptools", "idna2", "urllib3")
#: in three layers by their sizes, the smallest of them above
SIZES = {f"small-{number}": 36_000 << number // 7 for number in range(21)}
USUAL = tuple(SIZES)


class Counting:
    """ASGI around the registry: the digests of blobs that were really sent for."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and "/blobs/" in scope["path"]:
            self.asked.append(scope["path"].rpartition("sha256:")[2])
        await self.app(scope, receive, send)

    def drain(self) -> set[str]:
        found, self.asked = set(self.asked), []
        return found


class House:
    """A registry and a packager over one database and store, and packages that are really packed."""

    def __init__(
        self, registry: RunningRegistry, packager: RunningPackager, counting: Counting, directory: Path
    ) -> None:
        self.registry, self.packager, self.counting, self.directory = registry, packager, counting, directory
        self.made: dict[tuple[str, str], Record] = {}

    def package(self, name: str, version: str = "1.0") -> Record:
        if (name, version) not in self.made:
            size = 1_300_000 if name in BIG else SIZES.get(name, 3_000)
            puts = [Put(f"share/{name}", os.urandom(size))]
            self.made[name, version] = make_package(self.directory, name, puts, version=version)
        return self.made[name, version]

    def serve(self, environment: str, records: Sequence[Record]) -> dict[str, Any]:
        """Builds and renders it; the OCI manifest."""
        build_id = self.packager.build(environment, lock_of(records), eager=["DOCKER_MANIFEST"])
        row = self.packager.wait(build_id, "DOCKER_MANIFEST")
        assert row.digest is not None
        with self.registry.database.transaction() as session:
            found = {item.media_type: item for item in images.encodings(session, row.digest)}
        assert set(found) == {OCI_MANIFEST, DOCKER_MANIFEST}
        made: dict[str, Any] = json.loads(found[OCI_MANIFEST].body)
        return made


@pytest.fixture
def house(database_url: str, storage_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    counted: list[Counting] = []
    make_app = registry_fixture.make_app

    def counting_app(*arguments: Any) -> Any:
        counted.append(Counting(make_app(*arguments)))
        return counted[-1]

    monkeypatch.setattr(registry_fixture, "make_app", counting_app)
    with running_registry(database_url, storage_dir) as registry:
        store_tiny_base(registry)
        (tmp_path / "channel").mkdir()
        with running_packager(registry, tmp_path / "cache") as packager:
            yield House(registry, packager, counted[0], tmp_path / "channel")


def layers(manifest: dict[str, Any]) -> list[str]:
    return [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]


def config(manifest: dict[str, Any]) -> str:
    return str(manifest["config"]["digest"]).removeprefix("sha256:")


def size(manifest: dict[str, Any], digests: set[str]) -> int:
    return sum(layer["size"] for layer in manifest["layers"] if layer["digest"].removeprefix("sha256:") in digests)


def holding(house: House, manifest: dict[str, Any], name: str) -> str:
    """The layer with the package."""
    read = json.loads(b"".join(house.registry.storage.open(blob_key(config(manifest)))))
    (number,) = [
        n for n, item in enumerate(read["history"]) if f" {name} " in f"{item['created_by']},".replace(",", " ")
    ]
    return layers(manifest)[number]


@pytest.mark.client("docker")
def test_docker_fetches_the_group_of_what_was_bumped_and_the_top(house: House, docker: Client) -> None:
    every = [*BIG, *STACK, *OFTEN, *USUAL]
    assert len(every) == 40
    before = house.serve("env", [house.package(name) for name in every])
    image = f"{house.registry.address}/env:latest"
    docker.run("pull", image)
    try:
        assert house.counting.drain() == {*layers(before), config(before)}
        docker.run("pull", image)
        assert house.counting.drain() == set(), "nothing changed"

        after = house.serve("env", [house.package(name, "2.0" if name == "setuptools" else "1.0") for name in every])
        changed = set(layers(after)) - set(layers(before))
        assert len(changed) == 2, "the group and the top"
        assert holding(house, after, "setuptools") in changed
        docker.run("pull", image)
        assert house.counting.drain() == {*changed, config(after)}
        assert size(after, changed) < 50_000 < size(after, set(layers(after))) / 100

        # a group further below: docker takes what lies above it, too, which is small; nothing big is fetched again
        later = house.serve(
            "env", [house.package(name, "2.0" if name in ("setuptools", "small-3") else "1.0") for name in every]
        )
        changed = set(layers(later)) - set(layers(after))
        assert len(changed) == 2
        above = layers(later)[layers(later).index(holding(house, later, "small-3")) :]
        docker.run("pull", image)
        assert house.counting.drain() == {*above, config(later)}
        assert size(later, set(above)) < 300_000 < size(later, set(layers(later))) / 20
    finally:
        docker.attempt("rmi", "-f", image)


@pytest.mark.client("docker")
def test_docker_fetches_a_shared_stack_once(house: House, docker: Client) -> None:
    stack = [house.package(name) for name in (*BIG[:3], *STACK)]
    first = house.serve("first", [*stack, house.package("numpy"), house.package("small-1")])
    second = house.serve("second", [*stack, house.package("pandas"), *(house.package(name) for name in OFTEN)])
    shared = [one for one, other in zip(layers(first), layers(second), strict=False) if one == other]
    assert len(shared) == 1 + 3 + 1, "base, the big ones of the stack, the small ones"
    pulled = [f"{house.registry.address}/{name}:latest" for name in ("first", "second")]
    try:
        docker.run("pull", pulled[0])
        house.counting.drain()
        docker.run("pull", pulled[1])
        assert house.counting.drain() == {*layers(second)[len(shared) :], config(second)}
    finally:
        docker.attempt("rmi", "-f", *pulled)

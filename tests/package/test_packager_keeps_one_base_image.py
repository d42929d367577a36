"""The base below all images is stored once, and only an administrator's new one changes what is made from then on."""

from pathlib import Path

import pytest

from condarium.conda.base_image import store_layer, write_base
from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Literal
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, tar_chunks
from condarium.database import base_images
from condarium.domain.image import BaseImage, ImageLayer
from condarium.errors import ConfigError
from condarium.storage import blob_key
from services.packager.base_image import store_base
from tests.fixtures.packager import RunningPackager
from tests.fixtures.packages import Put, lock_of, make_package
from tests.fixtures.served import Served


def base_in(directory: Path, text: bytes) -> Path:
    laid = [Laid("etc/os-release", Literal(text))]
    written = store_layer(directory, [*tar_chunks(laid), END_OF_ARCHIVE])
    layer = ImageLayer(written.digest, written.diff_id, written.size, "a base")
    write_base(directory, BaseImage("amd64", (layer,), {"LANG": "C"}, ("/bin/tini",), "nobody"))
    return directory


def test_a_base_comes_back_as_it_was_and_its_blobs_are_stored(content: Served, tmp_path: Path) -> None:
    directory = base_in(tmp_path / "one", b"one")
    for _ in range(2):
        assert store_base(content.database, content.storage, directory) == "linux-64"
    with content.database.transaction() as session:
        base = base_images.default(session, "linux-64")
        assert base_images.default(session, "linux-aarch64") is None
    assert base is not None
    assert (base.env, base.entrypoint, base.user) == ({"LANG": "C"}, ("/bin/tini",), "nobody")
    for layer in base.layers:
        assert content.storage.stat(blob_key(layer.digest)) is not None


def test_a_new_base_makes_new_images_and_the_old_one_is_known_again(packager: RunningPackager, tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    lock = lock_of([make_package(tmp_path / "channel", "alpha", [Put("bin/alpha", b"x")])])

    def image() -> str | None:
        return packager.wait(packager.build("env", lock, eager=["DOCKER_MANIFEST"]), "DOCKER_MANIFEST").digest

    digests = []
    for name in ("one", "two", "one"):
        store_base(packager.content.database, packager.content.storage, base_in(tmp_path / name, name.encode()))
        digests.append(image())
    assert digests[0] == digests[2] != digests[1]


def test_a_directory_without_a_base_stops_the_start(content: Served, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no base image in .*python -m deploy\.base"):
        store_base(content.database, content.storage, tmp_path)


def test_without_any_base_the_image_fails_with_what_to_do(packager: RunningPackager, tmp_path: Path) -> None:
    lock = lock_of([make_package(tmp_path, "alpha")], platform="linux-s390x")
    row = packager.wait(packager.build("env", lock, eager=["DOCKER_MANIFEST"]), "DOCKER_MANIFEST", state="FAILED")
    assert row.reason is not None
    assert "no base image is stored for linux-s390x" in row.reason
    assert "CONDARIUM_BASE_IMAGE" in row.reason

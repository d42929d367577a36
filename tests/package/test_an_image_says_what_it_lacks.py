"""What an image cannot have is said: in the artifact's note for people, in the manifest for programs."""

import json
from pathlib import Path

from condarium.database import base_images, builds, images
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST, BaseImage
from tests.fixtures.packager import RunningPackager
from tests.fixtures.packages import Put, lock_of, make_package

SCRIPT = Put("bin/.scripted-post-link.sh", b"#!/bin/sh\necho linked\n", 0o755)


def manifests(packager: RunningPackager, digest: str | None) -> dict[str, dict[str, object]]:
    assert digest is not None
    with packager.content.database.transaction() as session:
        return {item.media_type: json.loads(item.body) for item in images.encodings(session, digest)}


def test_link_scripts_that_were_not_run_are_named(packager: RunningPackager, tmp_path: Path) -> None:
    lock = lock_of([make_package(tmp_path, "scripted", [SCRIPT]), make_package(tmp_path, "plain", [Put("a", b"a")])])
    for _ in range(2):  # made, and found made
        row = packager.wait(packager.build("env", lock, eager=["DOCKER_MANIFEST"]), "DOCKER_MANIFEST")
        assert row.reason is not None
        assert "link scripts of packages were not run (setting link_scripts): bin/.scripted-post-link.sh" in row.reason
    found = manifests(packager, row.digest)
    assert found[OCI_MANIFEST]["annotations"] == {"condarium.link-scripts.not-run": "bin/.scripted-post-link.sh"}
    assert "annotations" not in found[DOCKER_MANIFEST]


def test_an_image_stands_on_the_base_that_a_setting_names(packager: RunningPackager, tmp_path: Path) -> None:
    lock = lock_of([make_package(tmp_path, "plain", [Put("a", b"a")])])
    with packager.content.database.transaction() as session:
        usual = base_images.default(session, "linux-64")
        assert usual is not None
        other = BaseImage("amd64", usual.layers, {"BASE": "other"}, digest=f"sha256:{'a' * 64}")
        base_images.store(session, other, platform="linux-64", actor="admin", name="other")

    def build(base: str) -> int:
        made = packager.content.submit("env")
        packager.content.solve(made.build_id, lock)
        with packager.content.database.transaction() as session:
            builds.load(session, made.build_id).settings = {"image_base": base}
        packager.content.complete(made.build_id)
        packager.ask(made.build_id, "DOCKER_MANIFEST")
        return made.build_id

    row = packager.wait(build("other"), "DOCKER_MANIFEST")
    named = manifests(packager, row.digest)[OCI_MANIFEST]["annotations"]
    assert named == {"org.opencontainers.image.base.digest": other.digest}
    failed = packager.wait(build("nowhere"), "DOCKER_MANIFEST", state="FAILED")
    assert failed.reason is not None
    assert "no base image called 'nowhere' is stored for linux-64, which the setting image_base names" in failed.reason

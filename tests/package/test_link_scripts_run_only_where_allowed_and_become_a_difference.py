"""Link scripts are the code of strangers: told of by default; where a setting allows them, what they do is shipped."""

import json
import os
import time
from pathlib import Path

import pytest

from condarium.conda import link_scripts
from condarium.conda.pieces.spool import Spool
from condarium.database.tables import Image
from condarium.domain.lock import Lock, Record
from condarium.errors import InputFault
from condarium.storage import blob_key
from tests.fixtures.packager import RunningPackager
from tests.fixtures.packages import Put, archive_of, lock_of, make_package
from tests.fixtures.rattler_install import Tree, tar_tree

SCRIPT = """#!/bin/sh
set -e
echo "made at $PREFIX for $PKG_NAME" > "$PREFIX/share/made.txt"
echo more >> "$PREFIX/share/changed.txt"
rm "$PREFIX/share/removed.txt"
rm -r "$PREFIX/share/tree"
ln -s "$PREFIX/share/made.txt" "$PREFIX/share/absolute"
chmod +x "$PREFIX/share/tool"
mkdir "$PREFIX/share/empty"
env > "$PREFIX/share/environment"
"""


def scripted(directory: Path, script: str = SCRIPT) -> Record:
    puts = [
        Put("bin/.scripted-post-link.sh", script.encode(), 0o755),
        Put("share/changed.txt", b"changed\n"),
        Put("share/removed.txt", b"removed"),
        Put("share/tree/a", b"a"),
        Put("share/tool", b"#!/bin/sh\n"),
        Put("share/same.txt", b"same"),
    ]
    return make_package(directory, "scripted", puts)


def run(lock: Lock, directory: Path, **options: float) -> Tree:
    archives = {record.sha256: archive_of(record) for record in lock.conda}
    with Spool() as spool:
        laid = link_scripts.run(lock, archives, directory / "scripts", spool, prefix="/opt/env", **options)  # type: ignore[arg-type]
        return {
            item.path: ("link", item.target)
            if item.target
            else (b"".join(item.content.chunks()), item.executable)
            if item.content
            else "directory"
            for item in laid
        }


def test_what_they_add_change_and_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDARIUM_SECRET", "secret")
    record = scripted(tmp_path)
    archive = archive_of(record).read_bytes()
    found = run(lock_of([record]), tmp_path)
    environment = found.pop("share/environment")[0]
    assert b"CONDARIUM" not in environment
    assert b"PKG_NAME=scripted" in environment
    assert found == {
        "share/made.txt": (b"made at /opt/env for scripted\n", False),
        "share/changed.txt": (b"changed\nmore\n", False),
        "share/.wh.removed.txt": (b"", False),
        "share/.wh.tree": (b"", False),
        "share/absolute": ("link", "/opt/env/share/made.txt"),
        "share/tool": (b"#!/bin/sh\n", True),
        "share/empty": "directory",
    }
    assert archive_of(record).read_bytes() == archive


def test_one_that_fails_ends_nothing_as_with_rattler(tmp_path: Path) -> None:
    script = "#!/bin/sh\necho x > $PREFIX/share/half\nexit 3\n"
    assert run(lock_of([scripted(tmp_path, script)]), tmp_path) == {"share/half": (b"x\n", False)}


def test_what_lay_below_a_directory_that_is_a_link_now_needs_no_word(tmp_path: Path) -> None:
    script = "#!/bin/sh\nrm -r $PREFIX/share/tree\nln -s same.txt $PREFIX/share/tree\n"
    assert run(lock_of([scripted(tmp_path, script)]), tmp_path) == {"share/tree": ("link", "same.txt")}


def test_one_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"#!/bin/sh\nsleep 1000 &\necho $! $$ > {pids}\nsleep 1000\n"
    with pytest.raises(InputFault, match="did not end within 4 seconds"):
        run(lock_of([scripted(tmp_path, script)]), tmp_path, seconds=4.0)
    time.sleep(0.2)
    for pid in pids.read_text().split():
        assert not alive(int(pid))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()


def test_an_image_has_what_they_did_on_top_or_says_that_they_were_not_run(
    packager: RunningPackager, tmp_path: Path
) -> None:
    record = scripted(tmp_path)
    plain = packager.build("plain", lock_of([record]), eager=["DOCKER_MANIFEST"])
    row = packager.wait(plain, "DOCKER_MANIFEST")
    assert "bin/.scripted-post-link.sh" in (row.reason or "")
    assert "share/made.txt" not in unpacked(packager, row.digest, tmp_path)

    allowed = packager.build("allowed", lock_of([record], options={"link_scripts": True}), eager=["DOCKER_MANIFEST"])
    row = packager.wait(allowed, "DOCKER_MANIFEST")
    assert row.reason is None
    tree = unpacked(packager, row.digest, tmp_path)
    assert tree["share/made.txt"] == (b"made at /opt/env for scripted\n", False)
    assert tree["share/changed.txt"] == (b"changed\nmore\n", False)
    assert "share/.wh.removed.txt" in tree
    assert "conda-meta/history" in tree


def unpacked(packager: RunningPackager, digest: str | None, directory: Path) -> Tree:
    assert digest is not None
    with packager.content.database.transaction() as session:
        row = session.query(Image).filter(Image.digest == digest).one()
        manifest = json.loads(row.manifest)
    paths = []
    for number, layer in enumerate(manifest["layers"][1:]):
        path = directory / f"{digest[:8]}-{number}.tar.gz"
        path.write_bytes(packager.read(blob_key(layer["digest"].removeprefix("sha256:"))))
        paths.append(path)
    return tar_tree(paths, "opt/env")

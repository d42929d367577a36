"""A wheel in a layer is what `uv pip install` puts into a conda prefix, byte for byte.

Different on purpose: nothing that tells where one machine had the wheel from (`direct_url.json`, `uv_cache.json`).
"""

import csv
import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from condarium.conda.pieces.layer import make_layer
from condarium.conda.pieces.member import make_member
from condarium.conda.pieces.placement import PLACEHOLDER
from condarium.domain.lock import Wheel
from tests.fixtures.environments import Environment, SolveSample
from tests.fixtures.packages import archive_of, lock_of, make_wheel
from tests.fixtures.patience import patient
from tests.fixtures.rattler_install import Tree, install_packages, prefix_tree, tar_tree

UV = Path(sys.executable).with_name("uv")
TRACES = ("uv_cache.json", "direct_url.json")


@pytest.fixture(scope="module")
def bare(solve_sample: SolveSample) -> Environment:
    return solve_sample("python")


@pytest.fixture(scope="module")
def python_prefix(bare: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("prefix") / "env"
    install_packages([bare.archives[record.sha256] for record in bare.lock.conda], prefix)
    return prefix


def odd_wheel(directory: Path) -> Wheel:
    data = "My_Thing.X-1.0.data"
    files: dict[str, bytes | tuple[bytes, int]] = {
        "thing/__init__.py": b"def main(): pass\n",
        "thing/tool.sh": (b"#!/bin/sh\n", 0o755),
        "thing/all-may-write": (b"x", 0o666),
        "thing/with space": b"",
        f"{data}/scripts/run.py": b"#!python\nprint(1)\n",
        f"{data}/scripts/windowed": (b"#!pythonw -E\r\nprint(1)\n", 0o755),
        f"{data}/scripts/only-a-line": b"#!python3.11",
        f"{data}/scripts/spaced": b"#! python\n",
        f"{data}/scripts/shell": b"#!/bin/sh\n",
        f"{data}/data/etc/thing.conf": b"x",
        f"{data}/data/share/thing": (b"y", 0o755),
        f"{data}/headers/thing.h": b"h",
        f"{data}/purelib/pure.py": b"",
        f"{data}/platlib/plat.py": b"",
    }
    points = (
        "[console_scripts]\nThing-b = thing:A.b [extra]\nthing.sh=thing:main\n\n[gui_scripts]\nthing-gui = thing:main\n"
    )
    return make_wheel(directory, "My_Thing.X", files, entry_points=f"{points}[other]\nx = y\n")


def uv_install(prefix: Path, wheel: Wheel) -> Tree:
    """What uv adds to `prefix`."""
    before = prefix_tree(prefix)
    command = [UV, "pip", "install", "--offline", "--no-index", "--no-deps", "--no-cache", "--quiet"]
    requirement = f"{wheel.name} @ {wheel.url}"
    subprocess.run([*command, "--python", prefix / "bin" / "python", requirement], check=True, timeout=patient(60))
    after = prefix_tree(prefix)
    return {path: value for path, value in after.items() if path not in before and not path.endswith(TRACES)}


def laid(bare: Environment, wheel: Wheel, directory: Path, prefix: str) -> Tree:
    lock = lock_of(bare.lock.conda, [wheel])
    with (directory / "wheel.tar.gz").open("wb") as sink:
        make_layer(lock, [wheel], {wheel.sha256: archive_of(wheel)}, sink=sink, prefix=prefix)
    return tar_tree([directory / "wheel.tar.gz"], prefix.strip("/"))


def without_traces_in_record(tree: Tree) -> Tree:
    cleaned = dict(tree)
    for path, value in tree.items():
        if path.endswith("/RECORD"):
            lines = value[0].decode().splitlines(keepends=True)
            cleaned[path] = ("".join(line for line in lines if not any(t in line for t in TRACES)).encode(), value[1])
    return cleaned


@pytest.mark.parametrize("place", ["env", "with space/env", "long" * 40])
def test_a_wheel_with_everything_in_it(bare: Environment, python_prefix: Path, tmp_path: Path, place: str) -> None:
    prefix = tmp_path / place
    shutil.copytree(python_prefix, prefix, symlinks=True)
    wheel = odd_wheel(tmp_path)
    expected = without_traces_in_record(uv_install(prefix, wheel))
    found = {path: value for path, value in laid(bare, wheel, tmp_path, str(prefix)).items() if path in expected}
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []
    everything = laid(bare, wheel, tmp_path, str(prefix))
    assert {path for path, value in everything.items() if value != "directory"} == {
        path for path, value in expected.items() if value != "directory"
    }


def test_in_a_member_the_hashes_of_what_is_rewritten_are_left_out(bare: Environment, tmp_path: Path) -> None:
    wheel = odd_wheel(tmp_path)
    lock = lock_of(bare.lock.conda, [wheel])
    sink = io.BytesIO()
    result = make_member(lock, wheel, archive_of(wheel), sink=sink)
    (tmp_path / "member.tar.gz").write_bytes(sink.getvalue())
    tree = tar_tree([tmp_path / "member.tar.gz"], "")
    rewritten = {rewrite.path for rewrite in result.rewrites}
    assert rewritten == {
        path for path, value in tree.items() if value != "directory" and PLACEHOLDER.encode() in value[0]
    }
    assert {"bin/Thing-b", "bin/run.py", "bin/only-a-line"} <= rewritten
    record = tree[f"{bare.lock.site_packages}/My_Thing.X-1.0.dist-info/RECORD"][0].decode()
    rows = {path: (digest, size) for path, digest, size in csv.reader(io.StringIO(record))}
    assert rows["../../../bin/Thing-b"] == ("", "")
    assert rows["../../../bin/shell"][0].startswith("sha256=")

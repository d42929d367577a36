"""Concatenated members are one tar that GNU tar unpacks at any path; after conda-unpack the environment works there."""

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from condarium.conda.pieces.codec import Compression
from condarium.conda.pieces.member import MemberResult, make_member, make_top_member
from condarium.conda.pieces.placement import PLACEHOLDER
from condarium.domain.archive import MemberList, StoredMember
from condarium.domain.link_order import link_order
from condarium.domain.lock import Lock
from tests.fixtures.environments import Environment, SolveSample, dependencies
from tests.fixtures.packages import Put, archive_of, lock_of, make_package
from tests.fixtures.rattler_install import tar_tree


def make_tarball(lock: Lock, archives: dict[str, Path], path: Path, compression: Compression) -> MemberList:
    """All members and the top one in a file, as the API streams them."""
    results: list[MemberResult] = []
    with path.open("wb") as sink:
        for member in link_order(lock):
            results.append(make_member(lock, member, archives[member.sha256], sink=sink, compression=compression))
        rewrites = [rewrite for result in results for rewrite in result.rewrites]
        results.append(make_top_member(lock, rewrites, sink=sink, compression=compression))
    return MemberList(tuple(StoredMember(result.digest, result.size) for result in results))


@pytest.fixture(scope="module")
def environment(solve_sample: SolveSample) -> Environment:
    specs = [*dependencies("science"), "flask", "pip"]
    return solve_sample(*specs, variables={"GREETING": "it's $HOME", "not-a-name": "x"})


def run(prefix: Path, *command: str) -> str:
    """In an environment without PATH: what starts has to find its own Python."""
    program = prefix / "bin" / command[0]
    done = subprocess.run([program, *command[1:]], env={"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unpack(environment: Environment, directory: Path, compression: Compression, place: str) -> Path:
    tarball = directory / f"env.tar.{'gz' if compression == 'gzip' else 'zst'}"
    members = make_tarball(environment.lock, environment.archives, tarball, compression)
    assert members.size == tarball.stat().st_size
    prefix = directory / place
    prefix.mkdir(parents=True)
    subprocess.run(["tar", "-xf", tarball, "-C", prefix], check=True)
    tarball.unlink()
    run(prefix, "conda-unpack")
    return prefix


def test_a_real_environment_as_gzip_at_a_long_path_with_a_space(environment: Environment, tmp_path: Path) -> None:
    prefix = unpack(environment, tmp_path, "gzip", "with space/" + "long" * 40)
    assert run(prefix, "python", "-c", "import numpy, pandas, ssl; print(numpy.add(1, 2))") == "3\n"
    assert run(prefix, "python", "-c", "import sysconfig; print(sysconfig.get_config_var('prefix'))") == f"{prefix}\n"
    assert "Flask" in run(prefix, "flask", "--version")
    assert run(prefix, "f2py", "-v").strip()
    assert "No broken requirements" in run(prefix, "python", "-m", "pip", "check")
    assert placeholders_left(prefix) == []
    run(prefix, "conda-unpack")  # harmless
    assert run(prefix, "python", "-c", "print(1)") == "1\n"
    shutil.rmtree(prefix)


def test_a_real_environment_as_zstd(solve_sample: SolveSample, tmp_path: Path) -> None:
    prefix = unpack(solve_sample("python", "numpy"), tmp_path, "zstd", "env")
    assert run(prefix, "python", "-c", "import numpy, ssl; print(numpy.add(1, 2))") == "3\n"
    shutil.rmtree(prefix)


def placeholders_left(prefix: Path) -> list[str]:
    """Files that still speak of the build's prefix, but for those that record it."""
    needles = (PLACEHOLDER.encode(), b"/placehold_placehold")
    left = []
    for parent, _, files in os.walk(prefix):
        for file in files:
            path = Path(parent, file)
            recorded = "conda-meta" in parent or file == "conda-unpack"
            if not recorded and not path.is_symlink() and any(needle in path.read_bytes() for needle in needles):
                left.append(str(path.relative_to(prefix)))
    return left


def test_activation_sets_path_and_variables_and_takes_them_back(tmp_path: Path) -> None:
    record = make_package(tmp_path, "tool", [Put("bin/tool", b"#!/bin/sh\necho tool\n", 0o755)])
    variables = {"GREETING": "it's $HOME\nand `more`", "KEPT": "new", "not-a-name": "x"}
    lock = lock_of([record], variables=variables)
    make_tarball(lock, {record.sha256: archive_of(record)}, tmp_path / "env.tar.gz", "gzip")
    prefix = tmp_path / "the env"
    prefix.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "env.tar.gz", "-C", prefix], check=True)
    script = f"""
        export KEPT=old; cd /
        . '{prefix}/bin/activate'
        tool; printf '%s|%s|%s\\n' "$GREETING" "$KEPT" "$CONDA_PREFIX"
        . '{prefix}/bin/deactivate'
        printf '%s|%s|%s\\n' "${{GREETING-unset}}" "$KEPT" "${{CONDA_PREFIX-unset}}"
    """
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout == f"tool\n{variables['GREETING']}|new|{prefix}\nunset|old|unset\n"


def test_without_a_python_of_its_own_the_hosts_unpacks(tmp_path: Path) -> None:
    placeholder = "/build" + "x" * 200
    puts = [
        Put("bin/tool", f"#!/bin/sh\necho {placeholder}\n".encode(), 0o755, placeholder=placeholder, file_mode="text"),
        Put("lib/tool.so", f"\0{placeholder}/lib\0end".encode(), placeholder=placeholder, file_mode="binary"),
    ]
    record = make_package(tmp_path, "tool", puts)
    make_tarball(lock_of([record]), {record.sha256: archive_of(record)}, tmp_path / "env.tar.gz", "gzip")
    prefix = tmp_path / "env"
    prefix.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "env.tar.gz", "-C", prefix], check=True)
    subprocess.run([prefix / "bin" / "conda-unpack"], check=True, env={"PATH": os.environ["PATH"]}, cwd="/")
    assert subprocess.run([prefix / "bin" / "tool"], capture_output=True, text=True).stdout == f"{prefix}\n"
    library = (prefix / "lib" / "tool.so").read_bytes()
    assert library.startswith(f"\0{prefix}/lib\0".encode())
    assert len(library) == len(puts[1].data)
    assert library.endswith(b"\0end")


def test_of_a_path_that_packages_share_the_one_linked_last_stays(tmp_path: Path) -> None:
    records = [make_package(tmp_path, name, [Put("lib/shared", name.encode())]) for name in ("b", "a", "c")]
    make_tarball(lock_of(records), {r.sha256: archive_of(r) for r in records}, tmp_path / "env.tar.gz", "gzip")
    assert tar_tree([tmp_path / "env.tar.gz"], "")["lib/shared"] == (b"a", False)


def test_memory_stays_small_for_a_large_package(tmp_path: Path) -> None:
    import sys

    record = make_package(tmp_path, "large", [Put(f"lib/{n}", bytes(60 << 20)) for n in range(5)])
    code = f"""
import resource, sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from condarium.conda.pieces.layer import make_layer
from condarium.conda.pieces.member import make_member
from condarium.domain.lock import Lock, Record
record = Record({dict(record.raw)!r})
lock = Lock("linux-64", (), (), (), (record,))
class Nowhere:
    def write(self, data): pass
archive = Path({str(archive_of(record))!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = make_layer(lock, [record], {{record.sha256: archive}}, sink=Nowhere())
make_member(lock, record, archive, sink=Nowhere())
print(result.raw_size >> 20, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    raw, grown = map(int, done.stdout.split())
    assert raw >= 300
    assert grown < 80, f"grew by {grown} MB for a package of {raw} MB"


def test_the_top_member_ends_the_archive_and_others_do_not(tmp_path: Path) -> None:
    import gzip

    record = make_package(tmp_path, "one", [Put("x", b"1")])
    lock = lock_of([record])
    sinks = [io.BytesIO(), io.BytesIO()]
    make_member(lock, record, archive_of(record), sink=sinks[0])
    make_top_member(lock, [], sink=sinks[1])
    raws = [gzip.decompress(sink.getvalue()) for sink in sinks]
    assert not raws[0].endswith(bytes(1024))
    assert raws[1].endswith(bytes(1024))
    assert all(len(raw) % 512 == 0 for raw in raws)

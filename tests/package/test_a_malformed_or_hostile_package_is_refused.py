"""Whatever an archive holds, the answer is a layer within the prefix or one sentence that names the package."""

import io
import json
import resource
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from condarium.conda.archive import read_package
from condarium.conda.pieces.layer import make_layer
from condarium.conda.pieces.member import make_member
from condarium.conda.pieces.spool import Spool
from condarium.domain.lock import Record, Wheel
from condarium.errors import InputFault, WorldFault
from tests.fixtures.packages import (
    PLACEHOLDER,
    Put,
    archive_of,
    lock_of,
    make_package,
    make_wheel,
    python_record,
    wheel_of,
)


def lay(member: Record | Wheel, with_python: bool = False) -> bytes:
    sink = io.BytesIO()
    is_wheel = isinstance(member, Wheel)
    records = [] if is_wheel else [member]
    lock = lock_of([*records, *([python_record()] if with_python else [])], [member] if is_wheel else [])
    make_layer(lock, [member], {member.sha256: archive_of(member)}, sink=sink)
    return sink.getvalue()


def refuse(member: Record | Wheel, *words: str, reason: str = "bad-package", with_python: bool = False) -> None:
    with pytest.raises(InputFault) as refusal:
        lay(member, with_python)
    assert refusal.value.reason == reason
    for word in (*words, member.name):
        assert word in str(refusal.value)


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
@pytest.mark.parametrize(
    ("put", "words"),
    [
        (Put("../evil", b"x"), "leaves the prefix"),
        (Put("lib/../../evil", b"x"), "leaves the prefix"),
        (Put("/etc/passwd", b"x"), "not a relative path"),
        (Put("lib/link", link="/etc/passwd"), "leaves the prefix"),
        (Put("lib/link", link="../../etc/passwd"), "leaves the prefix"),
        (Put("lib/link", link=""), "hard link|symbolic link to nothing"),
        (Put("lib/hard", hard_link="/etc/passwd"), "not a relative path"),
        (Put("lib/hard", hard_link="../../etc/passwd"), "leaves the prefix"),
        (Put("lib/hard", hard_link="lib/later"), "not in the package"),
        (Put("lib/device", type=tarfile.CHRTYPE), "neither a file, a link nor a directory"),
        (Put("lib/pipe", type=tarfile.FIFOTYPE), "neither a file, a link nor a directory"),
        (Put("lib/x", listed_as="lib/other"), "listed, but not in the archive"),
        (Put("lib/x", listed_as="../lib/x"), "leaves the prefix"),
        (Put("lib/copied", link="nowhere", no_link=True), "points to no file"),
        (Put("bin/x", b"/short\0", placeholder="/short", file_mode="binary"), "longer than the placeholder"),
    ],
)
def test_names_and_links_that_leave_the_prefix(tmp_path: Path, put: Put, words: str, suffix: str) -> None:
    record = make_package(tmp_path, "evil", [put], suffix=suffix)
    with pytest.raises(InputFault, match=words) as refusal:
        lay(record)
    assert refusal.value.reason == "bad-package"
    assert record.filename in str(refusal.value)


def test_a_path_below_a_symbolic_link(tmp_path: Path) -> None:
    refuse(make_package(tmp_path, "evil", [Put("lib/x", link="."), Put("lib/x/y", b"")]), "below the symbolic link")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"index.json": None}, "info/index.json"),
        ({"paths.json": None}, "neither info/paths.json nor info/files"),
        ({"index.json": b"{"}, "JSONDecodeError"),
        ({"index.json": b"[1]"}, "list"),
        ({"paths.json": b"\xff"}, "UnicodeDecodeError"),
        ({"paths.json": b"[" * 100_000}, "RecursionError"),
        ({"paths.json": b'{"paths": [{"_path": 7, "path_type": "hardlink"}]}'}, "7"),
        ({"paths.json": b'{"paths": [{"_path": "a", "path_type": "odd"}]}'}, "odd"),
        ({"paths.json": b'{"paths": [{"_path": "\\ud800", "path_type": "hardlink"}]}'}, "surrogates"),
        (
            {"paths.json": b'{"paths": [{"_path": "a", "path_type": "hardlink", "prefix_placeholder": "/p"}]}'},
            "file mode",
        ),
        ({"paths.json": None, "files": b"x\n", "has_prefix": b"a b\n"}, "has_prefix"),
    ],
)
def test_metadata_of_another_shape(tmp_path: Path, info: dict[str, bytes | None], words: str) -> None:
    refuse(make_package(tmp_path, "odd", [Put("x")], info=info), words)


@pytest.mark.parametrize("point", ["no-target", "a = b", "../x = a:b", "x/y = a:b", " = a:b"])
def test_entry_points_of_another_shape(tmp_path: Path, point: str) -> None:
    record = make_package(tmp_path, "odd", noarch="python", entry_points=[point])
    refuse(record, "entry point", with_python=True)


def test_noarch_python_without_python(tmp_path: Path) -> None:
    refuse(make_package(tmp_path, "lonely", noarch="python"), "no python", reason="link-failed")
    refuse(make_wheel(tmp_path, "alone", {}), "no python", reason="link-failed")


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_bytes_that_are_no_package(tmp_path: Path, suffix: str) -> None:
    record = make_package(tmp_path, "whole", [Put("lib/x", bytes(range(256)) * 4096)], suffix=suffix)
    whole = archive_of(record).read_bytes()
    for cut in (0, 1, 10, len(whole) // 3, len(whole) // 2, len(whole) - 20):
        archive_of(record).write_bytes(whole[:cut])
        refuse(record)
    archive_of(record).write_bytes(whole)
    assert lay(record)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_byte_never_leaks_another_error(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".conda", ".tar.bz2"]))
    puts = [Put("lib/x", b"text " * 50), Put("lib/y", link="x"), Put("bin/z", PLACEHOLDER.encode())]
    record = make_package(tmp_path, "flipped", puts, suffix=suffix)
    whole = bytearray(archive_of(record).read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[position] ^= data.draw(st.integers(1, 255))
    archive_of(record).write_bytes(bytes(whole))
    with suppress(InputFault):
        lay(record)


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    record = make_package(tmp_path, "bomb", [Put("lib/x", bytes(4 << 20))])
    with Spool(limit_bytes=1 << 20) as spool, pytest.raises(InputFault, match="more than 1048576 bytes"):
        read_package(archive_of(record), record.filename, spool)


def test_an_archive_that_is_gone_is_not_the_packages_fault(tmp_path: Path) -> None:
    record = make_package(tmp_path, "fine")
    with pytest.raises(WorldFault, match="package fine-1"):
        make_layer(lock_of([record]), [record], {record.sha256: tmp_path / "gone.conda"}, sink=io.BytesIO())


def test_a_disk_that_is_full_is_not_the_packages_fault(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with Spool(tmp_path, memory_bytes=1024) as spool, pytest.raises(WorldFault, match="temporary file"):
            spool.add(io.BytesIO(bytes(4 << 20)), "fine")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def zip_wheel(path: Path, files: dict[str, bytes]) -> Wheel:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return wheel_of(path, path.name.split("-")[0], "1.0")


META = {"evil-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n", "evil-1.0.dist-info/METADATA": b""}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({**META, "../evil.py": b""}, "leaves the prefix"),
        ({**META, "evil-1.0.data/data/../../x": b""}, "leaves the prefix"),
        ({**META, "/evil.py": b""}, "not a relative path"),
        ({**META, "evil-1.0.data/odd/x": b""}, "not known"),
        ({**META, "other-1.0.dist-info/WHEEL": b""}, "2 .dist-info"),
        ({"evil.py": b""}, "0 .dist-info"),
        ({"evil-1.0.dist-info/METADATA": b""}, "WHEEL"),
        ({"evil-1.0.dist-info/WHEEL": b"Wheel-Version: 2.0\n"}, "2.0"),
        ({**META, "evil-1.0.dist-info/entry_points.txt": b"[console_scripts\n"}, "entry_points.txt"),
        ({**META, "evil-1.0.dist-info/entry_points.txt": b"[console_scripts]\n../x = a:b\n"}, "entry point"),
        ({**META, "evil-1.0.dist-info/entry_points.txt": b"\xff\xfe"}, "UnicodeDecodeError"),
    ],
)
def test_wheels(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    refuse(zip_wheel(tmp_path / "evil-1.0-py3-none-any.whl", files), words, with_python=True)


def test_a_member_is_refused_for_the_same_reasons(tmp_path: Path) -> None:
    record = make_package(tmp_path, "evil", [Put("lib/link", link="/etc/passwd")])
    with pytest.raises(InputFault, match="leaves the prefix"):
        make_member(lock_of([record]), record, archive_of(record), sink=io.BytesIO())


def test_paths_json_may_list_an_empty_directory(tmp_path: Path) -> None:
    paths = {"paths": [{"_path": "var/empty", "path_type": "directory"}], "paths_version": 1}
    record = make_package(tmp_path, "empty", info={"paths.json": json.dumps(paths).encode()})
    with tarfile.open(fileobj=io.BytesIO(lay(record))) as tar:
        assert tar.getmember("opt/env/var/empty").isdir()

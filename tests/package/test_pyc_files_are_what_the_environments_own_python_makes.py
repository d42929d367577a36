"""The .pyc files in a layer are the bytes that `compileall` of the environment's own Python writes, on any machine."""

import marshal
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from condarium.conda.pieces.bytecode import Bytecode, Compile
from condarium.conda.pieces.bytecode.interpreter import CannotRun, compile_by, probe, unpack
from condarium.conda.pieces.layer import layer_key, make_layer
from condarium.conda.pieces.spool import Literal
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock, Record
from condarium.errors import InputFault, WorldFault
from tests.fixtures.environments import Environment, SolveSample
from tests.fixtures.packages import Put, archive_of, lock_of, make_package, make_wheel, python_record
from tests.fixtures.rattler_install import Tree, tar_tree

SITE = "lib/python3.11/site-packages"


@pytest.fixture(scope="module")
def env(solve_sample: SolveSample) -> Environment:
    return solve_sample("python", "pip", "pandas")


def named(env: Environment, name: str) -> Record:
    return next(record for record in env.lock.conda if record.name == name)


@pytest.fixture(scope="module")
def prefix(env: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = named(env, "python")
    return unpack(python, env.archives[python.sha256], tmp_path_factory.mktemp("interpreters"))


@pytest.fixture(scope="module")
def by(env: Environment, prefix: Path) -> Compile:
    bytecode = Bytecode.of(env.lock)
    assert bytecode is not None
    return compile_by(prefix, bytecode, probe(prefix, bytecode))


def layer(lock: Lock, member: Member, archive: Path, directory: Path, by: Compile | None) -> Tree:
    path = directory / f"{member.name}.tar.gz"
    with path.open("wb") as sink:
        make_layer(lock, [member], {member.sha256: archive}, sink=sink, bytecode=by)
    return tar_tree([path], "opt/env")


def files(tree: Tree) -> dict[str, bytes]:
    return {path: value[0] for path, value in tree.items() if value != "directory" and value[0] != "link"}


def is_pyc(path: str) -> bool:
    return "/__pycache__/" in path


def compileall(prefix: Path, tree: Tree, directory: Path) -> dict[str, bytes]:
    """What compileall of the Python in `prefix` adds to the sources of `tree`."""
    for path, data in files(tree).items():
        if path.endswith(".py"):
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(data)
    subprocess.run(
        [
            *(prefix / "bin" / "python", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(directory), "-p", "/opt/env", directory / "lib" / "python3.11"),
        ],
        env={"PYTHONHOME": str(prefix), "SOURCE_DATE_EPOCH": "1"},
        check=False,  # it says so when a source does not compile
        capture_output=True,
        timeout=120,
    )
    found = directory.rglob("__pycache__/*.pyc")
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


@pytest.mark.parametrize("name", ["python", "pip"])
def test_of_packages_with_python(env: Environment, prefix: Path, by: Compile, tmp_path: Path, name: str) -> None:
    record = named(env, name)
    archive = env.archives[record.sha256]
    plain = layer(env.lock, record, archive, tmp_path, None)
    made = layer(env.lock, record, archive, tmp_path, by)
    assert {path: value for path, value in made.items() if not is_pyc(path)} == {
        path: value for path, value in plain.items() if not is_pyc(path)
    } | {path: "directory" for path, value in made.items() if value == "directory"}
    found = {path: data for path, data in files(made).items() if is_pyc(path)}
    expected = compileall(prefix, plain, tmp_path / "prefix")
    assert len(expected) > 300
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []


def odd_package(directory: Path) -> Record:
    puts = [
        Put(f"{SITE}/odd/__init__.py", b"x = {1, 'b', 3.5, None} and __file__\n", 0o755),
        Put(f"{SITE}/odd/__pycache__/__init__.cpython-311.pyc", b"stale"),
        Put(f"{SITE}/odd/__pycache__/kept.cpython-39.pyc", b"another Python's"),
        Put(f"{SITE}/odd/py2.py", b"print 'no'\n"),
        Put(f"{SITE}/odd/latin.py", "# coding: latin-1\nx = 'é'\n".encode("latin-1")),
        Put(f"{SITE}/odd/not-utf8.py", b"x = '\xff'\n"),
        Put(f"{SITE}/odd/warns.py", b"x = '\\d'\nassert (x, 1)\n"),
        Put(f"{SITE}/odd/deep.py", b"x = " + b"(" * 5000 + b")" * 5000),
        Put(f"{SITE}/odd/empty.py", b""),
        Put(f"{SITE}/odd/a.b-c.py", b"y = 1"),
        Put(f"{SITE}/odd/link.py", link="empty.py"),
        Put("share/odd/outside.py", b"x = 1\n"),
    ]
    return make_package(directory, "odd", puts, depends=["python >=3.11,<3.12.0a0"])


def test_of_odd_sources(env: Environment, prefix: Path, by: Compile, tmp_path: Path) -> None:
    record = odd_package(tmp_path)
    lock = lock_of([*env.lock.conda, record])
    plain = files(layer(lock, record, archive_of(record), tmp_path, None))
    made = files(layer(lock, record, archive_of(record), tmp_path, by))
    names = {path.removeprefix(f"{SITE}/odd/__pycache__/") for path in made if is_pyc(path)}
    compiled = {f"{name}.cpython-311.pyc" for name in ("__init__", "latin", "warns", "empty", "a.b-c")}
    assert names == compiled | {"kept.cpython-39.pyc"}
    assert made[f"{SITE}/odd/__pycache__/kept.cpython-39.pyc"] == b"another Python's"
    data = made[f"{SITE}/odd/__pycache__/__init__.cpython-311.pyc"]
    assert data[4:8] == b"\1\0\0\0"  # hash-based, and nobody looks at the source
    assert marshal.loads(data[16:]).co_filename == f"/opt/env/{SITE}/odd/__init__.py"
    assert {path: data for path, data in made.items() if not is_pyc(path)} == {
        path: data for path, data in plain.items() if not is_pyc(path)
    }


def test_of_wheels_and_of_noarch_packages(env: Environment, by: Compile, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "wheely", {"wheely/__init__.py": b"y = 2\n"})
    noarch = make_package(tmp_path, "pure", [Put("site-packages/pure.py", b"x = 1\n")], noarch="python")
    lock = lock_of([*env.lock.conda, noarch], [wheel])
    for member, path in (
        (wheel, f"{SITE}/wheely/__pycache__/__init__.cpython-311.pyc"),
        (noarch, f"{SITE}/__pycache__/pure.cpython-311.pyc"),
    ):
        made = layer(lock, member, archive_of(member), tmp_path, by)
        assert path in made
        record = next((data for name, data in files(made).items() if name.endswith("/RECORD")), b"")
        assert b".pyc" not in record  # as after an install by uv


def test_a_key_says_which_python_compiles_and_only_of_packages_for_python(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "wheely", {"wheely.py": b""})
    noarch = make_package(tmp_path, "pure", noarch="python")
    needs = make_package(tmp_path, "needs", depends=["python >=3.11", "python_abi 3.11.* *_cp311"])
    not_python = make_package(tmp_path, "lib", depends=["python_abi 3.11.* *_cp311", "python-dateutil"])
    keys = []
    for version in ("3.11.7", "3.11.8"):
        python = python_record(version)
        lock = lock_of([python, noarch, needs, not_python], [wheel])
        bytecode = Bytecode.of(lock)
        members = (wheel, noarch, needs, not_python)
        keys.append([layer_key(lock, [member], bytecode=bytecode) for member in members])
        assert layer_key(lock, [not_python]) == layer_key(lock, [not_python], bytecode=bytecode)
        assert layer_key(lock, [noarch]) != layer_key(lock, [noarch], bytecode=bytecode)
    assert [one == other for one, other in zip(*keys, strict=True)] == [False, False, False, True]
    assert Bytecode.of(lock_of([noarch])) is None
    assert Bytecode.of(lock_of([python_record("2.7.18")])) is None
    threads = Bytecode.of(lock_of([python_record("3.13.1", build="h1_100_cp313t")]))
    assert threads == Bytecode("3.13.1", "cp313t")


def test_what_is_no_python_of_this_machine_is_told(tmp_path: Path) -> None:
    scripts = {
        "text": (b"not a program", "Exec format error|cannot be run here"),
        "fails": (b"#!/bin/sh\necho no library >&2\nexit 127\n", "no library"),
        "other": (b"#!/bin/sh\necho 3.11.2 cpython-311\nsleep 9\n", "says that it is 3.11.2"),
    }
    for name, (program, words) in scripts.items():
        record = make_package(
            tmp_path, "python", [Put("bin/python", program, 0o755)], version="3.11.7", raw={"x": name}
        )
        prefix = unpack(record, archive_of(record), tmp_path / name)
        with pytest.raises(CannotRun, match=words):
            probe(prefix, Bytecode("3.11.7", "cpython"))


def test_a_python_that_dies_ends_its_job_and_it_can_neither_write_nor_see_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDARIUM_SECRET", "secret")
    program = "#!/bin/sh\necho 3.11.7 cpython-311\n{}read x\nkill -9 $$\n"
    for number, (tried, words) in enumerate(
        {
            "": "ended with status -9",
            # who is not root cannot fork
            "env | grep -q SECRET && exit 7\n": "ended with status (-9|2)",
            f"echo x > {tmp_path}/written\nexit 8\n": "ended with status (8|-25)",
        }.items()
    ):
        python = tmp_path / str(number) / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(program.format(tried))
        python.chmod(0o755)
        run = compile_by(python.parent.parent, Bytecode("3.11.7", "cpython"), "cpython-311").run
        with pytest.raises(WorldFault, match=rf"a\.py {words}"):
            list(run([("a.py", Literal(b"x = 1\n"))]))
    written = tmp_path / "written"
    assert not written.exists() or written.read_bytes() == b""


def test_an_answer_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 3.11.7 cpython-311\nprintf '\\377\\377\\377\\377'\ncat /dev/zero\n")
    python.chmod(0o755)
    run = compile_by(tmp_path, Bytecode("3.11.7", "cpython"), "cpython-311").run
    with pytest.raises(InputFault, match=r"a\.py answers with 4294967295 bytes"):
        list(run([("a.py", Literal(b"x = 1\n"))]))


def test_a_python_that_nobody_used_for_long_goes_at_once_and_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_package(tmp_path, "python", [Put("bin/python", b"x", 0o755)], version="3.11.7")
    other = make_package(tmp_path, "python", [Put("bin/python", b"y", 0o755)], version="3.11.8")
    directory = tmp_path / "unpacked"
    old = unpack(record, archive_of(record), directory)
    os.utime(old, (0, 0))
    monkeypatch.setattr(shutil, "rmtree", lambda path, **options: None)  # killed before it is deleted
    unpack(other, archive_of(other), directory)
    assert not old.exists()
    monkeypatch.undo()
    unpack(record, archive_of(record), directory)
    assert sorted(each.name for each in directory.iterdir() if each.is_dir()) == sorted([record.sha256, other.sha256])

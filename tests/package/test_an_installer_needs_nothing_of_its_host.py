"""An installer unpacks, relocates and checks itself with sh, tar and gzip; what fails leaves nothing behind."""

import gzip
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.environments import Environment, SolveSample, dependencies
from tests.fixtures.installers import make_installer
from tests.fixtures.packages import Put, archive_of, lock_of, make_package
from tests.fixtures.patience import patient, wait_for

BARE = {"PATH": "/usr/bin:/bin"}
PLACEHOLDER = "/build" + "x" * 200


def run(installer: Path, *options: object, shell: str = "sh", **more: object) -> "subprocess.CompletedProcess[str]":
    command = [*shell.split(), str(installer), *map(str, options)]
    given = {"env": BARE, "stdin": subprocess.DEVNULL, **more}
    # a shell may quote what is packed behind a broken line
    return subprocess.run(command, capture_output=True, text=True, errors="replace", **given)  # type: ignore[call-overload,no-any-return]


def ok(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def output(program: Path, *arguments: str) -> str:
    """As started from nowhere, with nothing."""
    return ok(subprocess.run([program, *arguments], env={}, cwd="/", capture_output=True, text=True))


@pytest.fixture(scope="module")
def science(solve_sample: SolveSample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    specs = [*dependencies("science"), "flask", "pip"]
    made: Environment = solve_sample(*specs, variables={"GREETING": "it's $HOME"})
    directory = tmp_path_factory.mktemp("science")
    installer = make_installer(made.lock, made.archives, directory / "science-1.sh")
    again = make_installer(made.lock, made.archives, directory / "again.sh")
    assert again.read_bytes() == installer.read_bytes(), "the same lock, the same bytes"
    again.unlink()
    return installer


def puts() -> list[Put]:
    text = f"#!/bin/sh\nprintf '%s\\n' '{PLACEHOLDER}|{PLACEHOLDER}/etc & a\\1b'".encode()  # no line break at its end
    perl = f"#! {PLACEHOLDER}/bin/perl5 -w\n# {PLACEHOLDER}\n".encode()
    strings = b"\x80\xff\n\0" + b"ab%(p)s/lib:%(p)s/share\n\0end\0%(p)s\0\xff%(p)s/last" % {b"p": PLACEHOLDER.encode()}
    return [
        Put("bin/tool", text, 0o755, placeholder=PLACEHOLDER, file_mode="text"),
        Put("bin/other", perl, 0o755, placeholder=PLACEHOLDER, file_mode="text"),
        Put("lib/a file.so", strings, 0o755, placeholder=PLACEHOLDER, file_mode="binary"),
        Put("lib/plain", b"plain"),
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without Python."""
    directory = tmp_path_factory.mktemp("small")
    record = make_package(directory, "tool", puts())
    lock = lock_of([record])
    return make_installer(lock, {record.sha256: archive_of(record)}, directory / "small-1.sh")


@pytest.mark.parametrize("shell", ["dash", "bash", "bash --posix", "busybox sh"])
def test_without_python_every_shell_puts_the_prefix_where_it_belongs(small: Path, tmp_path: Path, shell: str) -> None:
    prefix = tmp_path / "a & b|c\\1 [x].*$"
    ok(run(small, "-b", "-p", prefix, shell=shell))
    assert output(prefix / "bin" / "tool") == f"{prefix}|{prefix}/etc & a\\1b\n"
    assert (prefix / "bin" / "tool").stat().st_mode & 0o777 == 0o755
    assert (prefix / "bin" / "other").read_text() == f"#!/usr/bin/env perl5 -w\n# {prefix}\n", "spaces are in the path"
    wanted = puts()[2].data
    old, new = PLACEHOLDER.encode(), str(prefix).encode()
    library = (prefix / "lib" / "a file.so").read_bytes()
    assert len(library) == len(wanted)
    gap = len(old) - len(new)
    middle = b"%s/lib:%s/share\n" % (new, new) + bytes(2 * gap) + b"\0end\0" + new + bytes(gap)
    assert library == b"\x80\xff\n\0ab" + middle + b"\0\xff" + new + b"/last" + bytes(gap)
    assert sorted(path.name for path in prefix.iterdir()) == ["bin", "conda-meta", "lib"]


def test_the_first_line_of_another_language_asks_env_only_where_it_must(small: Path, tmp_path: Path) -> None:
    for length, is_direct in ((100, True), (111, True), (112, False), (190, False)):
        prefix = tmp_path / ("p" * (length - len(str(tmp_path)) - 1))
        assert len(str(prefix)) == length
        ok(run(small, "-b", "-p", prefix))
        first = (prefix / "bin" / "other").read_text().splitlines()[0]
        assert first == (f"#! {prefix}/bin/perl5 -w" if is_direct else "#!/usr/bin/env perl5 -w")
        assert len(f"#! {prefix}/bin/perl5 -w") <= 127 or not is_direct


def test_a_real_environment_at_a_long_path_with_a_space(science: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "with space" / ("long" * 25)
    ok(run(science, "-b", "-p", prefix))
    python = prefix / "bin" / "python"
    assert output(python, "-B", "-c", "import numpy, pandas, ssl; print(numpy.add(1, 2))") == "3\n"
    shown = output(python, "-B", "-c", "import sysconfig; print(sysconfig.get_config_var('prefix'))")
    assert shown == f"{prefix}\n"
    assert "Flask" in output(prefix / "bin" / "flask", "--version")
    assert "No broken requirements" in output(python, "-B", "-m", "pip", "check")
    script = f'. "{prefix}/bin/activate"; echo "$GREETING|$CONDA_PREFIX"; python -c "print(6 * 7)"'
    activated = subprocess.run(["bash", "-c", script], env=BARE, capture_output=True, text=True)
    assert ok(activated) == f"it's $HOME|{prefix}\n42\n"
    before = {path: path.read_bytes() for path in prefix.rglob("*") if path.is_file() and not path.is_symlink()}
    output(prefix / "bin" / "conda-unpack")
    changed = [str(path) for path, data in before.items() if path.read_bytes() != data]
    assert changed == [], "conda-unpack finds nothing left to do"
    shutil.rmtree(prefix.parent)


@pytest.mark.parametrize("place", ["script", "number", "table", "first member", "end"])
def test_a_changed_byte_is_refused_before_anything_is_written(small: Path, tmp_path: Path, place: str) -> None:
    data = bytearray(small.read_bytes())
    at = {
        "script": data.index(b"# What was begun") + 3,
        "number": data.index(b"unpacked_kb=") + 12,
        "table": data.index(b"\nT bin/tool") + 4,
        "first member": data.index(b"\x1f\x8b\x08") + 100,
        "end": len(data) - 1,
    }[place]
    data[at] ^= 1
    copy = tmp_path / "copy.sh"
    copy.write_bytes(data)
    done = run(copy, "-b", "-p", tmp_path / "env")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {copy} is damaged; fetch it again\n"
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize("tool", ["shasum", "openssl", ""])
def test_it_checks_itself_with_what_there_is(small: Path, tmp_path: Path, tool: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    wanted = "sh tar gzip sed dd head tail wc cat mkdir rm mv df ls find uname dirname basename rmdir".split()  # noqa: SIM905
    for name in [*wanted, *filter(None, [tool])]:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        (tools / name).symlink_to(found)
    environ = {"PATH": str(tools)}
    ok(run(small, "-b", "-p", tmp_path / "env", shell="/bin/sh", env=environ))
    damaged = bytearray(small.read_bytes())
    damaged[-30] ^= 1
    (tmp_path / "damaged.sh").write_bytes(damaged)
    done = run(tmp_path / "damaged.sh", "-b", "-p", tmp_path / "other", shell="/bin/sh", env=environ)
    assert "is damaged" in done.stderr
    assert not (tmp_path / "other").exists()


def test_a_byte_that_breaks_the_script_itself_writes_nothing(small: Path, tmp_path: Path) -> None:
    data = small.read_bytes()
    for text in (b"replace_strings() {", b"sha256() {", b'main "$@"\n'):
        copy = tmp_path / "copy.sh"
        copy.write_bytes(data.replace(text, text[:-2] + b"(" + text[-1:], 1))
        assert run(copy, "-b", "-p", tmp_path / "env").returncode != 0
        assert not (tmp_path / "env").exists()


def test_half_of_it_says_so(small: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.sh"
    half.write_bytes(small.read_bytes()[:-100])
    done = run(half, "-b", "-p", tmp_path / "env")
    assert done.returncode == 1
    assert "it is not whole; fetch it again" in done.stderr
    piped = subprocess.run(["sh"], input=small.read_bytes(), capture_output=True, env=BARE, cwd=tmp_path, check=False)
    assert b"save this installer as a file" in piped.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.sh"]


def test_a_prefix_that_is_too_long_is_refused_before_anything_is_written(small: Path, tmp_path: Path) -> None:
    prefix = tmp_path / ("d" * 150) / ("e" * 100)
    done = run(small, "-b", "-p", prefix)
    said = f"{prefix} has {len(str(prefix))} bytes; in the files of this environment there is room for 206"
    assert (done.returncode, done.stderr) == (1, f"error: {said}\n")
    assert list(tmp_path.iterdir()) == []


REFUSED = {"/": "cannot be", "/tmp/a/../b": "without . and ..", "/tmp/a\nb": "cannot be", "/proc/nothing/here": "error"}


@pytest.mark.parametrize("prefix", REFUSED)
def test_a_wrong_prefix_is_a_sentence(small: Path, prefix: str) -> None:
    done = run(small, "-b", "-p", prefix)
    assert done.returncode == 1
    assert REFUSED[prefix] in done.stderr


def test_what_is_at_the_prefix_stays_unless_told(small: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    prefix.mkdir()
    ok(run(small, "-b", "-p", prefix))  # an empty one is as good as none
    done = run(small, "-b", "-p", prefix)
    assert (done.returncode, "-u replaces an environment" in done.stderr) == (1, True)
    (prefix / "mine").write_text("mine")
    (prefix / "lib" / "plain").write_text("changed")
    ok(run(small, "-b", "-f", "-p", prefix))
    assert (prefix / "mine").read_text() == "mine"
    assert (prefix / "lib" / "plain").read_text() == "plain"
    ok(run(small, "-b", "-u", "-p", f"{prefix}//"))
    assert not (prefix / "mine").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["env"]
    done = run(small, "-b", "-u", "-p", tmp_path / "other")
    assert (done.returncode, "there is no environment" in done.stderr) == (1, True)
    (tmp_path / "file").write_text("")
    assert "is no directory" in run(small, "-b", "-p", tmp_path / "file").stderr


def test_a_relative_prefix_and_a_default_one(small: Path, tmp_path: Path) -> None:
    home = {**BARE, "HOME": str(tmp_path / "home")}
    ok(run(small, "-b", env=home))
    assert output(tmp_path / "home" / "small-1" / "bin" / "tool").startswith(f"{tmp_path}/home/small-1|")
    ok(run(small, "-bp", "here/env", cwd=tmp_path))
    assert output(tmp_path / "here" / "env" / "bin" / "tool").startswith(f"{tmp_path}/here/env|")


@pytest.fixture
def failing_tar(tmp_path: Path) -> dict[str, str]:
    """A PATH whose tar ends in the middle, as on a full disk."""
    tools = tmp_path / "failing"
    tools.mkdir()
    (tools / "tar").write_text("#!/bin/sh\n/bin/tar \"$@\"\necho 'tar: No space left on device' >&2\nexit 2\n")
    (tools / "tar").chmod(0o755)
    return {"PATH": f"{tools}:/usr/bin:/bin"}


def test_what_fails_in_the_middle_leaves_nothing(small: Path, tmp_path: Path, failing_tar: dict[str, str]) -> None:
    done = run(small, "-b", "-p", tmp_path / "a" / "b" / "env", env=failing_tar)
    assert (done.returncode, "could not be unpacked" in done.stderr) == (1, True)
    assert not (tmp_path / "a").exists()

    (tmp_path / "empty").mkdir()
    assert run(small, "-b", "-p", tmp_path / "empty", env=failing_tar).returncode == 1
    assert list((tmp_path / "empty").iterdir()) == []

    prefix = tmp_path / "env"
    ok(run(small, "-b", "-p", prefix))
    (prefix / "mine").write_text("mine")
    assert run(small, "-b", "-u", "-p", prefix, env=failing_tar).returncode == 1
    assert (prefix / "mine").read_text() == "mine"
    assert output(prefix / "bin" / "tool")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "env", "failing"]


def test_an_interrupted_one_leaves_nothing(small: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    until_sent = f"while [ ! -e '{tmp_path}/sent' ]; do sleep 0.02; done"
    (tools / "tar").write_text(f"#!/bin/sh\n/bin/tar \"$@\"\ntouch '{tmp_path}/reached'\n{until_sent}\n")
    (tools / "tar").chmod(0o755)
    for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        environ = {"PATH": f"{tools}:/usr/bin:/bin"}
        command = ["sh", str(small), "-b", "-p", str(tmp_path / "env")]
        with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
            wait_for((tmp_path / "reached").exists, process=running)
            running.send_signal(sent)
            (tmp_path / "sent").touch()
            assert running.wait(patient(20)) == 128 + sent
        (tmp_path / "reached").unlink()
        (tmp_path / "sent").unlink()
        assert not (tmp_path / "env").exists()


def test_its_options_are_constructors_where_they_fit(small: Path, tmp_path: Path) -> None:
    shown = ok(run(small, "-h"))
    assert "usage: small-1.sh [-b] [-p PREFIX]" in shown
    ok(run(small, "-b", "-s", "-k", "-m", "-i", "-p", tmp_path / "env"))
    for wrong in (["-x"], ["-b", "more"], ["-p"]):
        done = run(small, *wrong)
        assert (done.returncode, "usage:" in done.stderr) == (2, True)
    assert "nobody can be asked" in run(small).stderr


def test_somebody_who_sits_there_is_asked(small: Path, tmp_path: Path) -> None:
    import pty

    master, slave = pty.openpty()
    os.write(master, f"{tmp_path}/chosen\n".encode())
    done = run(small, stdin=slave, env={**BARE, "HOME": str(tmp_path)})
    os.close(slave)
    os.close(master)
    assert f"{tmp_path}/small-1" in ok(done)
    assert (tmp_path / "chosen" / "bin" / "tool").exists()


def test_of_a_path_that_packages_share_nothing_is_damaged(tmp_path: Path) -> None:
    """The first one's places are looked at in the last one's file, and left alone."""
    first = Put("lib/shared", b"ab\0" + PLACEHOLDER.encode() + b"\0", placeholder=PLACEHOLDER, file_mode="binary")
    last = Put("lib/shared", b"0123456789" * 100)
    records = [make_package(tmp_path, "b", [first]), make_package(tmp_path, "a", [last])]
    archives = {record.sha256: archive_of(record) for record in records}
    installer = make_installer(lock_of(records), archives, tmp_path / "shared-1.sh")
    ok(run(installer, "-b", "-p", tmp_path / "env"))
    assert (tmp_path / "env" / "lib" / "shared").read_bytes() == last.data


def test_its_payload_is_the_tarball(small: Path) -> None:
    data = small.read_bytes()
    start = int(data.partition(b"header_bytes=")[2].partition(b"\n")[0])
    assert gzip.decompress(data[start:]).endswith(bytes(1024))
    assert data[: len(b"#!/bin/sh\n")] == b"#!/bin/sh\n"

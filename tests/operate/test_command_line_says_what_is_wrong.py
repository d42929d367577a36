"""The command line: a wrong call is a sentence and an exit code, never a traceback; nothing is cut when it is piped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from condarium.cli.garbage import named
from condarium.cli.output import Output, amount, phases
from tests.fixtures.patience import patient

ROOT = Path(__file__).parents[2]
# Nobody listens on port 1.
AWAY = "http://127.0.0.1:1"


def condarium(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "condarium.cli.main", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "PYTHONPATH": "shared", "CONDARIUM_API_URL": AWAY} | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Usage: condarium"),
        (("env", "lst"), 2, "No such command 'lst'"),
        (("env", "create"), 2, "Missing argument"),
        (("env", "rollback", "a", "14"), 2, "extra argument"),
        (("download", "a", "tar"), 2, "'archive-zst'"),
        (("build", "cancel", "x"), 2, "valid integer"),
        (("env", "create", "no-such-file.yml"), 2, "no-such-file.yml cannot be read"),
        # What follows the environment belongs to the command that runs in it.
        (("env", "shell", "a", "python", "-c", "1"), 5, "no answer from"),
        (("env", "delete", "a"), 5, "no answer from"),
        (("env", "list"), 5, "`make up` starts"),
        # Nobody is there to say yes.
        (("signing-key", "rotate"), 2, "--yes"),
        (("publish", "remove", "team", "hub"), 2, "--yes"),
        (("why", "sha256:zz"), 2, "64 hex digits"),
    ],
)
def test_a_wrong_call_is_a_sentence(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = condarium(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_malformed_setting_says_what_it_is() -> None:
    done = condarium("check-config", CONDARIUM_WATCHER_DIRECTORIES="/srv/environments")
    assert done.returncode == 2
    assert "JSON {namespace: [directories]}" in done.stderr


def test_what_is_piped_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/" + "long/" * 60
    Output(False).details({"directory": path, "info": "one\ntwo"})
    Output(False).table([{"name": path, "info": path}], ["name", "info"])
    printed = capsys.readouterr().out
    assert printed.count(path) == 3
    assert "\n           two\n" in printed


def test_amounts_and_phases_are_said_as_people_say_them() -> None:
    assert [amount(size) for size in (None, 0, 716, 13_798, 31_340_030)] == ["", "", "716 B", "13.8 kB", "31.3 MB"]
    assert phases({"link": 1.0, "other": 2.0, "queue": 0.5}) == "queue 0.50, link 1.00, other 2.00"


def test_the_symlink_of_an_environment_means_its_prefix(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "named").symlink_to("store")
    (tmp_path / "store" / "science").symlink_to("../0a1b-science")
    assert named(f"{tmp_path}/named/science") == f"{tmp_path}/0a1b-science"
    assert named(f"{tmp_path}/named/0a1b-science/") == f"{tmp_path}/named/0a1b-science"

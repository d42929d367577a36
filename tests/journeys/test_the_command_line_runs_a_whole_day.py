"""What somebody does with `condarium` in a day, against the whole system: log in, plan, apply, look, run."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.conftest import CommandLine, command_line  # noqa: F401
from tests.fixtures.system import TOKEN, System

FILE = "name: day\nchannels: [conda-forge]\ndependencies: [python, {}]\nvariables: {{WHO: me}}\n"
CODE = "import os, sys; print(os.environ['WHO'], os.environ['CONDA_DEFAULT_ENV'], sys.prefix)"


@pytest.fixture
def day(system: System, command_line: Callable[..., CommandLine]) -> CommandLine:  # noqa: F811
    """Logged in, with nothing in the environment but where its home is."""
    run = command_line(system.url)
    run.environ.pop("CONDARIUM_API_URL")
    run.ok("login", system.url, stdin=f"{TOKEN}\n")
    return run


def test_a_day(system: System, day: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "environment.yml"
    file.write_text(FILE.format("click"))
    plan = day("apply", "-f", str(file), "--dry-run", "--exit-code")
    assert plan.returncode == 6, plan.stderr
    assert "the environment is new" in plan.stdout
    assert "click" in plan.stdout
    assert system.api.get("/api/v1/environment/default/day/").status_code == 404, "a dry run builds nothing"

    made = day.ok("apply", "-f", str(file), "--wait", "image,prefix,tarball", "--label", "git=abc").strip()
    assert made.startswith(f"{system.registry}/default/day@sha256:")
    digest = made.rpartition("@")[2]
    reply = system.api.head(f"http://{system.registry}/v2/default/day/manifests/git-abc")
    assert reply.headers["docker-content-digest"] == digest, "a label is a tag of the image"
    assert system.api.head(f"http://{system.registry}/v2/default/day/manifests/{digest}").status_code == 200

    # The same again does nothing but to say the same.
    (again,) = day.json("apply", "-f", "-", "--wait", "image", "--label", "git=abd", stdin=file.read_text())
    assert (again["built"], again["current"], again["image"]) == (False, True, made)
    first = again["build_id"]
    assert day.json("build", "show", str(first))["condarium"]["labels"] == {"git": "abd"}
    assert day("apply", "-f", str(file), "--dry-run", "--exit-code").returncode == 0
    assert "nothing to build" in day.ok("apply", "-f", str(file), "--dry-run", "--markdown")

    file.write_text(FILE.format("click, rich"))
    comment = day.ok("apply", "-f", str(file), "--dry-run", "--markdown")
    assert comment.startswith("<!-- condarium: default/day -->")
    assert "| added | `rich` |" in comment
    assert "`click`" not in comment
    (second,) = day.json("apply", "-f", str(file))
    assert second["built"]
    found = day.json("env", "diff", "day")
    assert (found["before"], found["after"]) == (first, second["build_id"])
    assert "rich" in [row["name"] for row in found["changes"]["linux-64"]["added"]]

    ways = day.json("why", "openssl", "day")["ways"]
    assert any(way["steps"][0]["name"] == "python" for way in ways), ways
    assert "asked for as «rich»" in day.ok("why", "rich", "default/day")
    assert any(row["name"] == "rich" for row in day.json("solve", str(file))["solve"]["linux-64"])
    unsolvable = day("apply", "-f", "-", stdin=FILE.format("numpy 99.*"))
    assert (unsolvable.returncode, "99" in unsolvable.stderr) == (2, True)


def test_a_command_runs_in_what_was_unpacked_once(system: System, day: CommandLine, tmp_path: Path) -> None:
    text = FILE.format("click").replace("day", "runs")
    day.ok("apply", "-f", "-", "--wait", "tarball", stdin=text)
    arguments = ("run", "-q", "runs", "--", "python", "-c", CODE)
    with ThreadPoolExecutor(2) as both:
        said = {done.stdout for done in both.map(lambda _: day(*arguments), range(2))}
    assert len(said) == 1, said
    who, label, prefix = said.pop().split()
    assert (who, label) == ("me", "default/runs")
    assert prefix.startswith(str(tmp_path / "cache"))
    (entry,) = day.json("cache", "list")
    assert entry["directory"] == prefix
    assert day("run", "runs", "--", "python", "-c", "import sys; sys.exit(7)").returncode == 7
    assert day("run", "runs:g1", "--", "nothing-like-that").returncode == 2
    # What is in use stays; without a server, what was unpacked still runs.
    inside = f"import subprocess, sys; sys.exit(subprocess.call({json.dumps(_cleaning())}))"
    nested = day("run", "runs:g1", "--", "python", "-c", inside)
    assert "something runs in" in nested.stderr, nested.stderr
    away = {"CONDARIUM_API_URL": system.url, "CONDARIUM_TOKEN": TOKEN}
    assert day(*arguments, **away).returncode == 0
    assert day.json("cache", "clean")["removed"] == [prefix]
    assert day.json("cache", "list") == []
    assert not Path(prefix).exists()


def _cleaning() -> list[str]:
    import sys

    return [sys.executable, "-m", "condarium.cli.main", "cache", "clean"]

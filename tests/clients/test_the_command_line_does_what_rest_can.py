"""The command line against a gateway: at parity with REST, JSON for programs, exit codes for scripts."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import CommandLine
from tests.fixtures.gateway import TOKEN, RunningGateway
from tests.fixtures.served import make_lock

Make = Callable[..., CommandLine]
SPECIFICATION = "name: first\nchannels: [conda-forge]\ndependencies: [python]\n"


@pytest.fixture
def run(gateway: RunningGateway, command_line: Make) -> CommandLine:
    return command_line(gateway.address, TOKEN)


def completed(gateway: RunningGateway, name: str = "first") -> int:
    build_id = gateway.post(name)
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    return build_id


def test_builds_and_environments(gateway: RunningGateway, run: CommandLine) -> None:
    first = completed(gateway)
    made = run.json("env", "create", "-", "--no-wait", "--label", "git=abc", stdin=SPECIFICATION)
    second = made["build_id"]
    assert [row["id"] for row in run.json("build", "list", "first")] == [second, first]
    assert [row["id"] for row in run.json("build", "list", "--label", "git=abc")] == [second]
    assert run.json("build", "label", str(second), "git-", "team=a")["labels"] == {"team": "a"}
    run.ok("build", "cancel", str(second))
    assert run.json("build", "rebuild", "first", "--no-wait")["build_id"] > second
    assert [row["name"] for row in run.json("build", "packages", str(first))] == ["zlib"]
    assert "zlib" in run.ok("build", "packages", str(first))
    assert run.json("build", "logs", str(first))["build_id"] == first
    lines = run.ok("build", "logs", str(first), "--follow", "--json").splitlines()
    assert json.loads(lines[-1])["event"] == "end"
    assert run.json("env", "activate", "first", str(first))["build_id"] == first
    run.ok("env", "update", "first", "--description", "what for")
    shown = run.json("env", "show", "default/first")
    assert (shown["description"], shown["current_build_id"]) == ("what for", first)
    assert [row["name"] for row in run.json("env", "list", "--search", "irs")] == ["first"]
    run.ok("env", "delete", "first", "--yes")
    gone = run("env", "show", "first")
    assert (gone.returncode, gone.stdout) == (4, "")
    assert "condarium env list" in gone.stderr


def test_differences_of_builds(gateway: RunningGateway, run: CommandLine) -> None:
    first = completed(gateway)
    second = gateway.post("first", specification=SPECIFICATION)
    gateway.solve(second, make_lock("bzip2"))
    gateway.complete(second)
    found = run.json("env", "diff", "first")
    assert (found["before"], found["after"]) == (first, second)
    changes = found["changes"]["linux-64"]
    assert ([row["name"] for row in changes["added"]], [row["name"] for row in changes["removed"]]) == (
        ["bzip2"],
        ["zlib"],
    )
    back = run("env", "diff", "first", str(second), str(first))
    assert "1 added, 1 removed" in back.stderr
    comment = run.ok("env", "diff", "first", "--markdown")
    assert "| added | `bzip2` |  | 1.0 |" in comment


def test_namespaces_settings_and_the_rest(run: CommandLine, tmp_path: Path) -> None:
    run.ok("namespace", "create", "team")
    run.ok("namespace", "create", "guests")
    assert {row["name"] for row in run.json("namespace", "list")} >= {"team", "guests"}
    run.ok("namespace", "update", "team", "--metadata", '{"cost": 7}', "--mapping", "team/*=viewer")
    assert run.json("namespace", "show", "team")["metadata_"] == {"cost": 7}
    run.ok("namespace", "role", "set", "team", "guests", "viewer")
    run.ok("namespace", "role", "set", "team", "guests", "admin")
    assert [row["role"] for row in run.json("namespace", "role", "list", "team")] == ["admin"]
    run.ok("namespace", "role", "unset", "team", "guests")
    key = "conda_default_channels"
    assert "in the namespace team" in run.ok("setting", "set", key, '["bioconda"]', "--at", "team/")
    assert json.loads(run.ok("setting", "get", key, "--at", "team/")) == ["bioconda"]
    run.ok("setting", "unset", key, "--at", "team/")
    assert [row["to"] for row in run.json("setting", "history", "--at", "team/")] == [None, ["bioconda"]]
    assert key in run.ok("setting", "list")
    assert "builds 5, bytes none" in run.ok("quota", "set", "team", "builds=5", "bytes=none")
    assert run.json("quota", "show", "team")["builds"] == 5
    assert "0 of 5" in run.ok("usage", "team")
    made = run("credential", "set", "ours", "--url", "https://a.example/c", "-n", "team", stdin="t0p-secret\n")
    assert made.returncode == 0, made.stderr
    assert "t0p" not in made.stdout + made.stderr + run.ok("credential", "list", "--json")
    named = ("credential", "set", "b", "--url", "https://b.example", "--kind", "basic", "--username", "u")
    assert run.json(*named, "--from-env", "THEIRS", THEIRS="x")["kind"] == "basic"
    run.ok("credential", "delete", "b", "--yes")
    run.ok("credential", "delete", "ours", "-n", "team", "--yes")
    rows = run.json("audit", "list", "-n", "team")
    exported = [json.loads(line) for line in run.ok("audit", "export", "-n", "team").splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in exported]
    run.ok("audit", "export", "-o", str(tmp_path / "audit.jsonl"))
    assert run.json("channel", "list") == run.json("package", "search", "numpy") == run.json("user", "list") == []
    past = run.ok("events", "--past", "--json")
    assert all(json.loads(line)["event"] for line in past.splitlines())
    assert run.json("status")["version"]["version"] == "2025.2.2"
    run.ok("namespace", "delete", "guests", "--yes")


def test_a_login_is_kept_for_its_owner_alone(gateway: RunningGateway, command_line: Make, tmp_path: Path) -> None:
    run = command_line("")
    run.environ.pop("CONDARIUM_API_URL")
    wrong = run("login", gateway.address, stdin="wrong\n")
    assert (wrong.returncode, "does not know this token" in wrong.stderr) == (3, True)
    run.ok("login", gateway.address, stdin=f"{TOKEN}\n")
    file = tmp_path / "config" / "condarium" / "logins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run.json("whoami")["condarium"]["name"] == "admin"
    # The environment wins.
    assert run("whoami", CONDARIUM_TOKEN="wrong").returncode == 3
    assert run("whoami", CONDARIUM_API_URL="http://127.0.0.1:1").returncode == 5
    run.ok("logout")
    assert TOKEN not in file.read_text()
    assert run("logout", gateway.address).returncode == 2
    # With a name, the login makes a token of its own, which ends with it.
    said = run.ok("login", gateway.address, "--username", "admin", stdin=f"{TOKEN}\n")
    assert "logged in" in said
    assert "as admin" in said
    assert TOKEN not in file.read_text()
    assert any(row["name"].startswith("condarium login on") for row in run.json("token", "list"))
    assert json.loads(run.ok("logout", "--json"))["revoked"] is True


def test_tokens(run: CommandLine) -> None:
    made = run.json("token", "create", "ci", "--days", "2", "--bind", "default/*=viewer")
    denied = run("env", "delete", "x", "--yes", CONDARIUM_TOKEN=made["token"])
    assert denied.returncode == 3
    assert "whoami` shows what the token may do" in denied.stderr
    assert "no token was shown" in run("token", "create", CONDARIUM_TOKEN="").stderr
    assert "the password is a token" in run("login", "-u", "me", stdin="wrong\n").stderr
    number = str(made["condarium"]["id"])
    assert number in run.ok("token", "list")
    assert "revoked" in run.ok("token", "revoke", number, "--yes")
    assert run("whoami", CONDARIUM_TOKEN=made["token"]).returncode == 3
    assert run("token", "create", "--bind", "nonsense").returncode == 2


def test_the_shell_is_offered_names_in_time(gateway: RunningGateway, run: CommandLine) -> None:
    completed(gateway)
    asked = {"_CONDARIUM_COMPLETE": "complete_bash", "COMP_WORDS": "condarium env show fi", "COMP_CWORD": "3"}
    assert run(**asked).stdout.split() == ["first"]
    away = run(**asked, CONDARIUM_API_URL="http://127.0.0.1:1")
    assert (away.stdout.strip(), away.stderr) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "first"), 2, "-- COMMAND"),
        (("run", "a/b/c", "--", "ls"), 2, "is no environment"),
        (("run", "first:g7", "--", "ls"), 4, "first"),
        (("why", "numpy", "none"), 4, "does not exist"),
        (("apply", "-f", "none.yml"), 2, "cannot be read"),
        (("apply", "-f", "-", "--wait", "moon"), 2, "allowed are prefix, image, tarball"),
        (("apply", "-f", "-", "--label", "git"), 2, "KEY=VALUE"),
        (("apply", "-f", "-", "-f", "-"), 2, "once"),
        (("apply", "-f", "-", "--json", "--markdown"), 2, "give one"),
        (("apply", "-f", "-", "--exit-code"), 2, "--dry-run"),
        (("apply", "-f", "-", "--lockfile"), 2, "give --name"),
        (("setting", "get", "nonsense"), 2, "is no setting"),
        (("setting", "set", "nonsense", "1"), 2, "nonsense"),
        (("quota", "set", "default", "builds"), 2, "builds=N"),
        (("namespace", "update", "default"), 2, "nothing to change"),
        (("audit", "list", "--since", "yesterday"), 2, "is no time"),
        (("credential", "set", "a", "--url", "https://a.example", "--kind", "basic"), 2, "--username"),
        (("login", "not-an-address"), 2, "is no server"),
        (("token", "revoke", "999999", "--yes"), 4, "token 999999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_call_is_a_sentence(run: CommandLine, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr

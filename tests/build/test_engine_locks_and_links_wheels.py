"""The pip section: wheels are in the lock with their digests, and are linked at the final path."""

import base64
import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.engine import Builder, python_in, write_simple_index
from tests.fixtures.http_directory import Served, serve_directory
from tests.fixtures.packages import make_wheel

TOOL = b"def main():\n    import click, sys\n    print('tool', sys.prefix)\n"
ENTRY = "[console_scripts]\ntool = tool:main\n"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Served]:
    """A package index with `tool`, `needy` (which wants a click that conda does not bring) and `picky`."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    made = [make_wheel(wheels, "tool", {"tool.py": TOOL}, entry_points=ENTRY)]
    made += [make_wheel(wheels, "leaf", {"leaf.py": b"VALUE = 7\n"})]
    made += [make_wheel(wheels, "leaf", {"leaf.py": b"VALUE = 8\n"}, version="2.0")]
    write_simple_index(tmp_path / "index", sorted(wheels.glob("*.whl")))
    (tmp_path / "index" / "simple" / "sdistonly").mkdir()
    sdist = f'<a href="sdistonly-1.0.tar.gz#sha256={"0" * 64}">sdistonly-1.0.tar.gz</a>'
    (tmp_path / "index" / "simple" / "sdistonly" / "index.html").write_text(f"<html><body>{sdist}</body></html>")
    with serve_directory(tmp_path / "index") as served:
        yield served


def spec(*requirements: str, **more: object) -> dict[str, object]:
    return {"name": "wheels", "dependencies": ["python", "click", {"pip": list(requirements)}], **more}


def test_wheels_are_locked_with_digests_and_work_at_the_final_path(builder: Builder, index: Served) -> None:
    said = builder.run(spec("tool", "leaf<2"), pip_index_url=f"{index.url}/simple")
    leaf, tool = said.locks["linux-64"].pypi
    assert (leaf.name, leaf.version, tool.name) == ("leaf", "1.0", "tool")
    assert leaf.url == f"{index.url}/simple/leaf/leaf-1.0-py3-none-any.whl"
    assert len(leaf.sha256) == 64
    assert python_in(said.prefix, "import leaf; print(leaf.VALUE)") == "7"
    command = said.prefix / "bin" / "tool"
    assert command.read_text().splitlines()[0] == f"#!{said.prefix}/bin/python"
    assert python_in(said.prefix, f"import runpy; runpy.run_path({str(command)!r}, run_name='__main__')") == (
        f"tool {said.prefix}"
    )
    names = [event.get("name") for event in said.events if event["event"] == "phase" and event["state"] == "finished"]
    assert "pypi" in names
    assert [path.name for path in said.prefix.glob(".*")] == []


def test_the_record_of_a_wheel_holds_after_its_commands_were_moved(builder: Builder, index: Served) -> None:
    prefix = builder.run(spec("tool"), pip_index_url=f"{index.url}/simple").prefix
    site_packages = next(prefix.glob("lib/python*/site-packages"))
    info = site_packages / "tool-1.0.dist-info"
    for path, digest, size in csv.reader((info / "RECORD").read_text().splitlines()):
        data = (site_packages / path).read_bytes()
        if digest:
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={expected}", len(data)), path
    assert not (info / "direct_url.json").exists()
    assert (info / "METADATA").stat().st_mode & 0o222 == 0


def test_a_second_environment_needs_no_index_for_known_wheels(builder: Builder, index: Served) -> None:
    first = builder.run(spec("tool"), pip_index_url=f"{index.url}/simple")
    index.answers = {".whl": 500, "/": 500}
    locks = {platform: lock.to_json() for platform, lock in first.locks.items()}
    second = builder.run({"name": "unused"}, name="again", locks=locks)
    assert python_in(second.prefix, "import tool; print(tool.__name__)") == "tool"


def test_what_conda_provides_is_a_constraint_and_not_locked_again(builder: Builder, index: Served) -> None:
    # The index has no click at all: conda's own is what the requirement is held against.
    said = builder.run(spec("click", "tool"), pip_index_url=f"{index.url}/simple")
    assert [wheel.name for wheel in said.locks["linux-64"].pypi] == ["tool"]
    kind, reason, message = builder.run(spec("click>=99"), pip_index_url=f"{index.url}/simple").failure
    assert (kind, reason) == ("input", "pip-unsolvable")
    assert "click>=99" in message
    assert "Fixed by the conda packages: click" in message


def test_a_changed_wheel_is_another_lock(builder: Builder, index: Served) -> None:
    first = builder.run(spec("leaf<2"), pip_index_url=f"{index.url}/simple")
    second = builder.run(spec("leaf"), pip_index_url=f"{index.url}/simple")
    assert first.locks["linux-64"].hash != second.locks["linux-64"].hash
    assert python_in(second.prefix, "import leaf; print(leaf.VALUE)") == "8"


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("nobody-has-this", "nobody-has-this"),
        ("sdistonly", "no usable wheels"),
    ],
)
def test_what_cannot_be_resolved_is_said(builder: Builder, index: Served, requirement: str, words: str) -> None:
    kind, reason, message = builder.run(spec(requirement), pip_index_url=f"{index.url}/simple").failure
    assert (kind, reason) == ("input", "pip-unsolvable")
    assert words in message


def test_a_pip_section_needs_python(builder: Builder, index: Served) -> None:
    said = builder.run({"dependencies": ["tzdata", {"pip": ["tool"]}]}, pip_index_url=f"{index.url}/simple")
    assert said.failure[1] == "pip-unsolvable"
    assert "add python to its dependencies" in said.failure[2]


def test_an_index_that_is_away_is_a_fault_of_the_world(builder: Builder, index: Served) -> None:
    builder.environ = {"UV_HTTP_RETRIES": "0"}
    said = builder.run(spec("tool"), pip_index_url="http://127.0.0.1:9/simple")
    assert said.failure[0] == "world"


def test_a_wheel_with_other_bytes_than_locked_is_a_fault_of_the_world(builder: Builder, index: Served) -> None:
    locks = {
        platform: lock.to_json()
        for platform, lock in builder.run(spec("leaf<2"), pip_index_url=f"{index.url}/simple").locks.items()
    }
    wheel = locks["linux-64"]["pypi"][0]
    wheel["sha256"], wheel["url"] = "0" * 64, wheel["url"].replace("leaf-1.0", "leaf-2.0")
    wheel["filename"], wheel["version"] = "leaf-2.0-py3-none-any.whl", "2.0"
    said = builder.run({"name": "unused"}, locks=locks)
    assert said.failure[0] == "world"
    assert "leaf" in said.failure[2]
    assert not any((builder.store / "default").glob("*-unused"))


def test_the_index_credential_reaches_the_index_and_nothing_else(builder: Builder, index: Served) -> None:
    token = base64.b64encode(b"reader:correct-horse").decode()
    index.authorization = f"Basic {token}"
    with_user = index.url.replace("http://", "http://reader:correct-horse@")
    said = builder.run(spec("tool"), pip_index_url=f"{with_user}/simple")
    assert python_in(said.prefix, "import tool; print(tool.__name__)") == "tool"
    everything = json.dumps(said.events) + "".join(
        path.read_text(errors="replace") for path in (said.prefix / "lib").rglob("*.dist-info/*") if path.is_file()
    )
    assert "correct-horse" not in everything
    assert token not in everything

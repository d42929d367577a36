"""A lockfile that is handed in becomes the environment that it describes, without a solve."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.http_directory import serve_directory
from tests.fixtures.packages import make_wheel
from tests.fixtures.system import System

SPECIFICATION = {
    "name": "locked",
    "channels": ["conda-forge"],
    "dependencies": ["python", "flask"],
    "variables": {"GREETING": "hello"},
}
FORGE = "https://conda.anaconda.org/conda-forge"


@pytest.fixture(scope="module")
def built(workshop: System) -> dict[str, Any]:
    return workshop.wait_build(workshop.submit(SPECIFICATION))


def export(system: System, build_id: int, form: str) -> str:
    reply = system.api.get(f"/api/v1/build/{build_id}/lockfile/?format={form}&wait=60", follow_redirects=True)
    assert reply.status_code == 200, reply.text
    return reply.text


def post(system: System, text: str, name: str = "imported", **more: Any) -> Any:
    body = {"specification": text, "is_lockfile": True, "environment_name": name, "namespace": "default", **more}
    return system.api.post("/api/v1/specification/", json=body)


def build(system: System, text: str, name: str = "imported", status: str = "COMPLETED") -> dict[str, Any]:
    reply = post(system, text, name)
    assert reply.status_code == 200, reply.text
    return system.wait_build(reply.json()["data"]["build_id"], status=status)


def log(system: System, build_id: int) -> str:
    return str(system.api.get(f"/api/v1/build/{build_id}/logs/", follow_redirects=True).text)


@pytest.mark.parametrize("form", ["json", "conda-lock", "explicit", "pixi"])
def test_our_own_lockfiles_come_back_as_the_same_lock(workshop: System, built: dict[str, Any], form: str) -> None:
    again = build(workshop, export(workshop, built["id"], form), f"from-{form}")
    assert again["condarium"]["locks"] == built["condarium"]["locks"]
    assert "solve" not in again["condarium"]["seconds"]
    assert "Solving" not in log(workshop, again["id"])
    prefix = Path(again["condarium"]["prefix"])
    assert (prefix / "bin/flask").exists()
    assert json.loads((prefix / "conda-meta/state").read_text())["env_vars"] == SPECIFICATION["variables"]
    theirs, ours = (
        sorted((Path(each["condarium"]["prefix"]) / "conda-meta").glob("*.json")) for each in (built, again)
    )
    assert [path.name for path in ours] == [path.name for path in theirs]


def test_it_is_shown_as_conda_store_shows_it(workshop: System, built: dict[str, Any]) -> None:
    reply = post(workshop, export(workshop, built["id"], "json"), "shown", environment_description="from a file")
    shown = workshop.build(reply.json()["data"]["build_id"])["specification"]
    assert shown["name"] == "shown"
    assert set(shown["spec"]) == {"name", "description", "lockfile"}
    assert shown["spec"]["description"] == "from a file"
    lockfile = shown["spec"]["lockfile"]
    assert lockfile["version"] == 1
    assert [channel["url"] for channel in lockfile["metadata"]["channels"]] == [FORGE]
    assert {"python", "flask"} <= {package["name"] for package in lockfile["package"]}
    workshop.wait_build(reply.json()["data"]["build_id"])


def test_a_lockfile_of_another_tool_has_no_more_than_packages(workshop: System, built: dict[str, Any]) -> None:
    """Without our comment: the packages are the same, what was asked for and the variables are not known."""
    text = "".join(
        line for line in export(workshop, built["id"], "explicit").splitlines(True) if "condarium" not in line
    )
    again = build(workshop, text, "foreign")
    ours, theirs = (
        {row["name"]: (row["version"], row["condarium"]["build"]) for row in packages(workshop, each["id"])}
        for each in (built, again)
    )
    assert ours == theirs
    assert again["condarium"]["locks"] != built["condarium"]["locks"]


def packages(system: System, build_id: int) -> list[dict[str, Any]]:
    return list(system.api.get(f"/api/v1/build/{build_id}/packages/").json()["data"])


def test_md5_is_enough_and_the_channel_tells_the_rest(workshop: System, built: dict[str, Any]) -> None:
    document = json.loads(export(workshop, built["id"], "json"))
    lines = [f"{package['url']}#{package['hash']['md5']}" for package in document["package"]]
    again = build(workshop, "\n".join(["@EXPLICIT", *lines]), "md5")
    hashes = [json.loads(path.read_text())["sha256"] for path in meta(again)]
    assert sorted(hashes) == sorted(package["hash"]["sha256"] for package in document["package"])


def meta(found: dict[str, Any]) -> list[Path]:
    return sorted((Path(found["condarium"]["prefix"]) / "conda-meta").glob("*.json"))


def test_a_package_that_no_index_knows_tells_of_itself(
    workshop: System, built: dict[str, Any], sample_channel: Path, tmp_path: Path
) -> None:
    """Archives without an index: their records are read out of them."""
    document = json.loads(export(workshop, built["id"], "json"))
    wanted = [package for package in document["package"] if package["name"] in ("tzdata", "ca-certificates")]
    for package in wanted:
        relative = package["url"].removeprefix(f"{FORGE}/")
        (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample_channel / relative, tmp_path / relative)
    with serve_directory(tmp_path) as channel:
        lines = [
            f"{channel.url}/{package['url'].removeprefix(f'{FORGE}/')}#{package['hash']['md5']}" for package in wanted
        ]
        found = build(workshop, "\n".join(["# platform: linux-64", "@EXPLICIT", *lines]), "bare")
    assert {json.loads(path.read_text())["name"] for path in meta(found)} == {"tzdata", "ca-certificates"}
    known = {path.name: json.loads(path.read_text()) for path in meta(built)}
    for path in meta(found):
        record, theirs = json.loads(path.read_text()), known[path.name]
        same = ("name", "version", "build", "build_number", "depends", "license", "sha256", "md5", "size", "timestamp")
        assert {key: record.get(key) for key in same} == {key: theirs.get(key) for key in same}


def test_other_bytes_than_the_lockfile_says_fail_at_once(workshop: System, built: dict[str, Any]) -> None:
    text = export(workshop, built["id"], "explicit")
    line = next(line for line in text.splitlines() if "/tzdata-" in line)
    wrong = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", line)
    found = build(workshop, text.replace(line, wrong), "wrong", status="FAILED")
    assert "tzdata" in found["status_info"]
    assert "lockfile says 0000" in found["status_info"]
    assert found["condarium"]["reason"] == "no-such-package"


def test_wheels_of_a_lockfile_are_verified_and_installed(
    workshop: System, built: dict[str, Any], tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "greeting", {"greeting.py": b"WORD = 'hello'\n"})
    document = json.loads(export(workshop, built["id"], "json"))
    with serve_directory(tmp_path) as index:
        entry = {
            "name": "greeting",
            "version": "1.0",
            "manager": "pip",
            "platform": "linux-64",
            "dependencies": {},
            "url": f"{index.url}/{wheel.filename}",
            "hash": {"sha256": wheel.sha256},
            "category": "main",
            "optional": False,
        }
        document["package"].append(entry)
        found = build(workshop, json.dumps(document), "wheels")
        prefix = found["condarium"]["prefix"]
        said = subprocess.run(
            [f"{prefix}/bin/python", "-c", "import greeting; print(greeting.WORD)"], capture_output=True, env={}
        )
        assert said.stdout == b"hello\n", said.stderr
        # The lockfile of that build, handed in once more, is the same lock.
        again = build(workshop, export(workshop, found["id"], "pixi"), "wheels-again")
        assert again["condarium"]["locks"] == found["condarium"]["locks"]
        entry["url"] = f"{index.url}/greeting-1.0-cp27-cp27m-win32.whl"
        failed = build(workshop, json.dumps(document), "unfit", status="FAILED")
    assert "greeting-1.0-cp27-cp27m-win32.whl does not fit linux-64" in failed["status_info"]


def test_settings_hold_for_lockfiles(workshop: System, built: dict[str, Any]) -> None:
    text = export(workshop, built["id"], "explicit")
    assert workshop.api.post("/api/v1/namespace/strict/").status_code == 200
    policy = {"conda_allowed_channels": ["bioconda"]}
    assert workshop.api.put("/api/v1/setting/strict/", json=policy).status_code == 200
    reply = post(workshop, text, namespace="strict")
    assert reply.status_code in (400, 403)
    assert f"{FORGE} is not allowed; allowed here are bioconda" in reply.json()["message"]
    policy = {"conda_allowed_channels": ["conda-forge"], "conda_required_packages": ["ipykernel"]}
    assert workshop.api.put("/api/v1/setting/strict/", json=policy).status_code == 200
    reply = post(workshop, text, namespace="strict")
    assert reply.status_code in (400, 403)
    assert "ipykernel must be in the lockfile for linux-64" in reply.json()["message"]
    again = workshop.api.get("/api/v1/build/?namespace=strict").json()
    assert again["count"] == 0, "nothing was changed"


def test_what_is_no_lockfile_is_said(workshop: System) -> None:
    for text, name, said in (
        ("name: a\ndependencies: [python]", "x", "leave out is_lockfile"),
        ("@EXPLICIT\nhttps://me:hush@example.org/c/linux-64/a-1-0.conda", "x", "line 2: found a URL with a credential"),
        ("@EXPLICIT\nhttps://example.org/c/linux-64/a-1-0.conda", "x", "line 2, hash: "),
        ("@EXPLICIT\nhttps://example.org/c/linux-64/a-1-0.conda#" + "a" * 32, "", "environment_name: it is missing"),
        ("@EXPLICIT\nhttps://example.org/c/linux-64/a-1-0.conda#" + "a" * 32, "a/b", "environment_name: 'a/b'"),
    ):
        reply = post(workshop, text, name)
        assert reply.status_code == 400, reply.text
        assert said in reply.json()["message"]
        assert "hush" not in reply.text
    assert post(workshop, "#" * 3_000_000).status_code == 413


def test_an_identical_specification_is_a_new_build_that_is_there_at_once(
    workshop: System, built: dict[str, Any]
) -> None:
    again = workshop.wait_build(workshop.submit(SPECIFICATION))
    assert again["id"] != built["id"]
    assert again["condarium"]["prefix"] == built["condarium"]["prefix"]
    assert again["condarium"]["locks"] == built["condarium"]["locks"]
    # The prefix is there: nothing is fetched, and linking is a look.
    assert "fetch" not in again["condarium"]["seconds"]
    assert "reused the prefix that is there" in log(workshop, again["id"])


def test_what_is_locked_may_be_looked_at_first(workshop: System, built: dict[str, Any]) -> None:
    body = {"specification": export(workshop, built["id"], "pixi"), "is_lockfile": True}
    reply = workshop.api.post("/api/v1/solve/?namespace=default&environment=locked", json=body)
    assert reply.status_code == 200, reply.text
    data = reply.json()["data"]
    assert data["current"]["same_locks"]
    assert data["changes"] == {"linux-64": {"added": [], "removed": [], "changed": []}}

"""GET /specification/ and POST /solve/ with a real builder: what would be built, and what would change."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.fixtures.http_directory import serve_directory
from tests.fixtures.patience import patient, wait_for, within
from tests.fixtures.system import System

#: as conda-store's client emits it: no slash before the query, one behind its last value
CLIENT = "/api/v1/specification?channels=conda-forge&conda=python&conda=flask%3E%3D1/"


def rows(reply: httpx.Response) -> dict[str, dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    content = reply.json()
    assert set(content) == {"solve"}, "conda-store does not envelop this reply"
    return {row["name"]: row for row in content["solve"]}


def solve(system: System, specification: dict[str, Any], query: str = "", **more: Any) -> dict[str, Any]:
    body = {"specification": json.dumps(specification), **more}
    reply = system.api.post(f"/api/v1/solve/{query}", json=body)
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


def spec(name: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "channels": ["conda-forge"], "dependencies": list(dependencies), **more}


def solves_of(system: System, where: str) -> list[Any]:
    with psycopg.connect(system.settings["CONDARIUM_DATABASE_URL"]) as connection:
        return connection.execute(f"select state, attempt, answered_on from solves where {where}").fetchall()


def test_the_client_of_conda_store_gets_what_its_table_shows(workshop: System) -> None:
    found = rows(workshop.api.get(CLIENT))
    assert {"python", "flask", "werkzeug"} <= found.keys()
    row = found["flask"]
    assert row["version"] == "3.1.0" or row["version"].startswith("3"), row
    assert row["size"] > 0
    assert isinstance(row["channel_id"], int)
    assert {each["channel_id"] for each in found.values()} == {row["channel_id"]}
    assert len({each["id"] for each in found.values()}) == len(found)
    assert row["depends"]
    assert len(row["sha256"]) == 64
    assert len(row["md5"]) == 32
    # nothing was built for it
    assert workshop.api.get("/api/v1/build/?name=solve").json()["count"] == 0


def test_the_same_question_is_looked_at_again_and_not_solved_again(workshop: System) -> None:
    first = rows(workshop.api.get("/api/v1/specification/?channel=conda-forge&conda=tzdata"))
    answered = solves_of(workshop, "spec->'dependencies' = '[\"tzdata\"]'")
    with within(20):
        again = rows(workshop.api.get("/api/v1/specification/?channel=conda-forge&conda=tzdata"))
    assert again == first
    later = solves_of(workshop, "spec->'dependencies' = '[\"tzdata\"]'")
    assert len(answered) == len(later) == 1
    assert later[0][1] == answered[0][1] + 1, "freshness 0: a child looks at the channels"


def test_the_same_question_at_the_same_time_is_one(workshop: System) -> None:
    def ask(_: int) -> list[str]:
        return sorted(rows(workshop.api.get("/api/v1/specification/?channel=conda-forge&conda=click&conda=python")))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert all(each == found[0] for each in found)
    assert len(solves_of(workshop, "spec->'dependencies' @> '[\"click\"]'")) == 1


def test_what_cannot_be_solved_is_said_in_the_solvers_words(workshop: System) -> None:
    reply = workshop.api.get("/api/v1/specification/?channel=conda-forge&conda=python%3E%3D99")
    assert reply.status_code == 400
    assert reply.json()["status"] == "error"
    assert "python >=99" in reply.json()["message"]
    nothing = workshop.api.get("/api/v1/specification/?channel=conda-forge")
    assert nothing.status_code == 400
    assert "dependencies" in nothing.json()["message"]
    wrong = workshop.api.get("/api/v1/specification/?channel=conda-forge&conda=python&platform=linux-65")
    assert wrong.status_code == 400
    assert "linux-65" in wrong.json()["message"]


def test_nobody_solves_who_may_not(workshop: System) -> None:
    assert workshop.anonymous.get(CLIENT).status_code == 403
    body = {"specification": json.dumps(spec("first", "tzdata"))}
    assert workshop.anonymous.post("/api/v1/solve/", json=body).status_code == 403


def test_a_dry_run_says_what_would_change(workshop: System) -> None:
    before = spec("dry", "python", "flask", variables={"A": "1"})
    fresh = solve(workshop, before, "?namespace=default&environment=dry")
    assert fresh["current"] is None
    assert {item["name"] for item in fresh["changes"]["linux-64"]["added"]} >= {"python", "flask"}

    build_id = workshop.submit(before)
    built = workshop.wait_build(build_id)
    same = solve(workshop, before, "?namespace=default&environment=dry")
    assert same["current"]["build_id"] == build_id
    assert same["current"]["same_specification"]
    assert same["current"]["same_locks"]
    assert same["locks"] == built["condarium"]["locks"]
    assert same["changes"] == {"linux-64": {"added": [], "removed": [], "changed": []}}

    less = solve(workshop, spec("dry", "python"), "?namespace=default&environment=dry")
    assert not less["current"]["same_specification"]
    assert not less["current"]["same_locks"]
    assert "flask" in {item["name"] for item in less["changes"]["linux-64"]["removed"]}
    assert less["changes"]["linux-64"]["added"] == []

    # A variable is in the lock; no package changes with it.
    other = solve(workshop, before | {"variables": {"A": "2"}}, "?namespace=default&environment=dry")
    assert not other["current"]["same_locks"]
    assert other["changes"]["linux-64"] == {"added": [], "removed": [], "changed": []}


def test_neither_solves_nor_builds_wait_for_the_other(workshop: System, tmp_path: Path) -> None:
    """Every slot of builds stands still at a channel that does not answer; then the slot of solves does."""
    with serve_directory(tmp_path) as channel:
        channel.hang_on = "repodata_shards.msgpack.zst"
        stuck = [workshop.submit(spec(f"stuck-{each}", "tzdata", channels=[channel.url])) for each in "ab"]
        wait_for(lambda: all(workshop.build(each)["status"] == "BUILDING" for each in stuck), seconds=30)
        assert channel.hanging.wait(patient(30))
        waiting = workshop.submit(spec("waiting", "tzdata"))
        rows(workshop.api.get("/api/v1/specification/?channel=conda-forge&conda=ca-certificates"))
        assert workshop.build(waiting)["status"] == "QUEUED", "the slots of builds were not full"

        with pytest.raises(httpx.ReadTimeout):
            workshop.api.get(f"/api/v1/specification/?channel={channel.url}&conda=tzdata", timeout=2)
        for each in stuck:
            assert workshop.api.put(f"/api/v1/build/{each}/cancel/").status_code == 200
        workshop.wait_build(waiting)
        assert solves_of(workshop, f"spec->'channels' = '[\"{channel.url}\"]'")[0][0] == "SOLVING"

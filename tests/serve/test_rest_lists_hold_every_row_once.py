"""Of whatever list: its pages together are all rows that fit, once each, in order, and `count` is how many."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from condarium.domain.artifact import ArtifactType
from tests.fixtures.gateway import RunningGateway, running_gateway, token_of
from tests.fixtures.infrastructure import _database
from tests.fixtures.served import make_lock

Row = dict[str, Any]

#: what is behind each build beyond its row, for the filters
FACTS = """
select b.id, s.name as namespace, s.deleted_on is null as live, e.name as environment,
       array(select a.artifact_type from build_artifacts a where a.build_id = b.id and a.state = 'READY') as artifacts,
       array(select p.name from lock_platforms l join lock_packages p on p.lock_id = l.lock_id where l.build_id = b.id)
from builds b join environments e on e.id = b.environment_id join namespaces s on s.id = e.namespace_id
"""
WHO: dict[str, tuple[dict[str, str] | None, Callable[[str, str], bool]]] = {
    "admin": (None, lambda namespace, environment: True),
    "anonymous": ({}, lambda namespace, environment: namespace == "default"),
    "viewer": (token_of("viewer"), lambda namespace, environment: namespace in ("default", "team")),
    "part": (
        token_of("part"),
        lambda namespace, environment: namespace == "default" or (namespace == "team" and environment[:3] == "ml-"),
    ),
}


@pytest.fixture(scope="module")
def filled(postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    storage = tmp_path_factory.mktemp("storage")
    chance = random.Random(7)
    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_gateway(url, storage) as running:
            for number in range(50):
                namespace = chance.choice(["default", "team", "other", "gone", "Z-9_a"])
                name = chance.choice(["ml-a", "ml-b_1", "web", "a%b".replace("%", "."), f"e{number % 4}"])
                build_id = running.post(name, namespace=namespace)
                if chance.random() < 0.8:
                    running.solve(build_id, make_lock(chance.choice(["zlib", "numpy", "perl"])))
                    if chance.random() < 0.3:
                        running.fail(build_id, 'no "numpy" \\ nothing\n\ttürkis \x01')
                    else:
                        running.complete(build_id)
                        if chance.random() < 0.4:
                            running.make(build_id, ArtifactType.EXPLICIT, b"@EXPLICIT\n")
            running.admin.delete("/api/v1/environment/default/web/")
            running.post("web")
            running.admin.put("/api/v1/environment/team/ml-a/", json={"description": 'ein "Wort" \\ mit Ö\n'})
            assert running.admin.delete("/api/v1/namespace/gone/").status_code == 200
            running.post("web", namespace="gone")
            with psycopg.connect(url) as connection:
                facts = {row[0]: row[1:] for row in connection.execute(FACTS)}
            yield running, facts


def _all(running: RunningGateway, path: str, headers: dict[str, str] | None, query: str, size: int) -> list[Row]:
    """All rows by pages of `size`; each page says the same count."""
    client = running.admin if headers is None else running.http
    rows: list[Row] = []
    for page in itertools.count(1):
        reply = client.get(f"{path}?page={page}&size={size}{query}", headers=headers or {})
        assert reply.status_code == 200, reply.text
        body = reply.json()
        assert (body["page"], body["size"]) == (page, size)
        assert len(body["data"]) <= size
        rows += body["data"]
        if not body["data"]:
            assert len(rows) == body["count"], f"page {page} of {path}{query}"
            return rows
        assert len(body["data"]) == min(size, body["count"] - size * (page - 1))
    raise AssertionError


BUILDS: dict[str, Callable[[Row, Any], bool]] = {
    "": lambda row, fact: True,
    "&status=FAILED": lambda row, fact: row["status"] == "FAILED",
    "&namespace=team": lambda row, fact: fact[0] == "team",
    "&namespace=Z-9_a": lambda row, fact: fact[0] == "Z-9_a",
    "&namespace=nowhere": lambda row, fact: False,
    "&name=web": lambda row, fact: fact[2] == "web",
    "&namespace=default&name=web&status=QUEUED": lambda row, fact: (
        fact[0] == "default" and fact[2] == "web" and row["status"] == "QUEUED"
    ),
    "&environment_id=2": lambda row, fact: row["environment_id"] == 2,
    "&artifact=EXPLICIT": lambda row, fact: "EXPLICIT" in fact[3],
    "&packages=zlib": lambda row, fact: "zlib" in fact[4],
    "&packages=zlib&packages=perl": lambda row, fact: {"zlib", "perl"} <= set(fact[4]),
    "&packages=numpy&artifact=EXPLICIT&status=COMPLETED": lambda row, fact: (
        "numpy" in fact[4] and "EXPLICIT" in fact[3] and row["status"] == "COMPLETED"
    ),
}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("query", BUILDS)
def test_builds(filled: Any, who: str, query: str) -> None:
    running, facts = filled
    headers, sees = WHO[who]
    everything = [_detail(running, build_id) for build_id in sorted(facts)]
    wanted = [
        row
        for row in everything
        if facts[row["id"]][1]
        and sees(facts[row["id"]][0], facts[row["id"]][2])
        and BUILDS[query](row, facts[row["id"]])
    ]
    assert _all(running, "/api/v1/build/", headers, query, 7) == wanted
    assert _all(running, "/api/v1/build/", headers, f"{query}&order=desc", 100) == wanted[::-1]
    for column in ("scheduled_on", "ended_on"):
        found = _all(running, "/api/v1/build/", headers, f"{query}&sort_by={column}", 100)
        assert found == sorted(wanted, key=lambda row: (row[column] is None, row[column] or "", row["id"]))


_DETAILS: dict[int, Row] = {}


def _detail(running: RunningGateway, build_id: int) -> Row:
    """The build shown alone, without what lists leave out."""
    if build_id not in _DETAILS:
        row = running.admin.get(f"/api/v1/build/{build_id}/").json()["data"]
        for name in ("prefix", "locks", "seconds", "artifacts", "labels", "lockfile"):
            row["condarium"].pop(name, None)
        _DETAILS[build_id] = {**row, "specification": None, "build_artifacts": None}
    return _DETAILS[build_id]


ENVIRONMENTS: dict[str, Callable[[Row, Any], bool]] = {
    "": lambda row, fact: True,
    "&search=ML-": lambda row, fact: "ml-" in row["name"],
    "&search=_": lambda row, fact: "_" in row["name"] or "_" in row["namespace"]["name"],
    "&search=%25": lambda row, fact: False,
    "&search=other": lambda row, fact: row["namespace"]["name"] == "other",
    "&namespace=team": lambda row, fact: row["namespace"]["name"] == "team",
    "&name=web": lambda row, fact: row["name"] == "web",
    "&status=COMPLETED": lambda row, fact: fact is not None,
    "&artifact=EXPLICIT": lambda row, fact: fact is not None and "EXPLICIT" in fact[3],
    "&packages=numpy": lambda row, fact: fact is not None and "numpy" in fact[4],
}


def _current(running: RunningGateway, facts: dict[int, Any], row: Row) -> Any:
    """Of the current build; until one has completed the newest is shown in its place, and filters pass it by."""
    build_id = row["current_build_id"]
    if build_id is None or _detail(running, build_id)["status"] != "COMPLETED":
        return None
    return facts.get(build_id)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("query", ENVIRONMENTS)
def test_environments(filled: Any, who: str, query: str) -> None:
    running, facts = filled
    headers, sees = WHO[who]
    names = sorted({(fact[0], fact[2]) for fact in facts.values()})
    shown = [running.admin.get(f"/api/v1/environment/{space}/{name}/") for space, name in names]
    everything = [reply.json()["data"] for reply in shown if reply.status_code == 200]
    assert len(everything) > 15
    wanted = [
        row
        for row in everything
        if sees(row["namespace"]["name"], row["name"]) and ENVIRONMENTS[query](row, _current(running, facts, row))
    ]
    assert _all(running, "/api/v1/environment/", headers, query, 4) == wanted
    assert _all(running, "/api/v1/environment/", headers, f"{query}&order=desc", 100) == wanted[::-1]
    by_name = sorted(wanted, key=lambda row: (row["name"], row["id"]))
    assert _all(running, "/api/v1/environment/", headers, f"{query}&sort_by=name", 5) == by_name
    client = running.admin if headers is None else running.http
    whole = client.get(f"/api/v1/environment/?{query}", headers=headers or {}).json()
    assert (whole["data"], whole["count"]) == (wanted, len(wanted))


@pytest.mark.parametrize("who", ["admin", "part"])
@pytest.mark.parametrize("sort", [[], ["name"], ["namespace"], ["namespace", "name"], ["name", "namespace"]])
@pytest.mark.parametrize("query", ["", "&search=e", "&namespace=default"])
def test_environments_by_cursor(filled: Any, who: str, sort: list[str], query: str) -> None:
    running, _ = filled
    headers, _ = WHO[who]
    client = running.admin if headers is None else running.http
    everything = client.get(f"/api/v1/environment/?{query}", headers=headers or {}).json()["data"]
    wanted = [{name: value for name, value in row.items() if name != "current_build"} for row in everything]

    def key(row: Row) -> tuple[Any, ...]:
        return (*(row["name"] if part == "name" else row["namespace"]["name"] for part in sort), row["id"])

    for order in ("asc", "desc"):
        rows: list[Row] = []
        cursor = ""
        while True:
            path = f"/api/v2/environment/?limit=4&order={order}&sort_by={','.join(sort)}{query}&cursor={quote(cursor)}"
            body = client.get(path, headers=headers or {}).json()
            assert body["count"] == len(everything)
            if not body["data"]:
                break
            rows += body["data"]
            cursor = body["cursor"]
        assert rows == sorted(wanted, key=key, reverse=order == "desc")


@pytest.mark.parametrize("who", WHO)
def test_namespaces(filled: Any, who: str) -> None:
    running, _ = filled
    headers, _ = WHO[who]
    names = {"admin": ["Z-9_a", "default", "gone", "other", "team"], "anonymous": ["default"]}
    wanted = names.get(who, ["default", "team"])
    assert [row["name"] for row in _all(running, "/api/v1/namespace/", headers, "", 2)] == wanted
    assert [row["name"] for row in _all(running, "/api/v1/namespace/", headers, "&order=desc", 2)] == wanted[::-1]


def test_bodies_are_compact_json_in_the_order_of_the_contract(filled: Any) -> None:
    running, _ = filled
    for path, first in (("/api/v1/build/?size=2", "status"), ("/api/v2/environment/?limit=2", "data")):
        text = running.admin.get(path).text
        assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
        assert next(iter(json.loads(text))) == first

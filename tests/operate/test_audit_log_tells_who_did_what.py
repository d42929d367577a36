"""The audit log: every write with its transaction, refusals and downloads as sums; never changed, read by who may."""

import json
import random
import string
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy

from condarium.database import Database, audit
from condarium.database.tables import Audit
from condarium.domain.artifact import ArtifactType
from condarium.errors import Unavailable
from condarium.http.tallies import DENIALS_APART, Tallies
from services.api import audit as audit_route
from tests.fixtures.gateway import SPECIFICATION, RunningGateway
from tests.fixtures.patience import within
from tests.fixtures.served import make_lock

ENVIRONMENT = "/api/v1/environment/default/first/"


def rows(gateway: RunningGateway, **query: str) -> list[dict[str, Any]]:
    gateway.gateway.tallies.flush()
    reply = gateway.admin.get("/api/v1/audit/", params=query)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["data"])


def test_a_write_leaves_one_row_with_who_what_and_where(gateway: RunningGateway) -> None:
    build_id = gateway.post("first")
    gateway.admin.put(ENVIRONMENT, json={"description": "better"})
    gateway.admin.put(f"/api/v1/build/{build_id}/cancel/")
    cancel, describe, submit = rows(gateway)
    assert (submit["action"], submit["resource"], submit["namespace"]) == (
        "environment::create",
        "default/first",
        "default",
    )
    assert submit["principal"] == "admin"
    assert submit["outcome"] == "done"
    assert submit["address"] == "127.0.0.1"
    assert submit["details"]["build_id"] == build_id
    assert describe["action"] == "environment::update"
    assert (cancel["action"], cancel["resource"]) == ("build::cancel", "default/first")
    assert cancel["details"] == {"operation": "cancel_build", "build_id": str(build_id)}


def test_what_changed_nothing_leaves_no_row(gateway: RunningGateway) -> None:
    assert gateway.admin.put(ENVIRONMENT, json={"description": "x"}).status_code == 400
    assert gateway.admin.post("/api/v1/specification/", json={"specification": "name: [x"}).status_code == 400
    gateway.admin.get("/api/v1/environment/")
    assert rows(gateway) == []


def test_a_write_that_cannot_be_audited_is_not_done(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **more: Any) -> None:
        raise Unavailable("no")

    monkeypatch.setattr(audit, "record", broken)
    reply = gateway.admin.post("/api/v1/specification/", json={"specification": SPECIFICATION.format("first")})
    assert reply.status_code == 503
    monkeypatch.undo()
    assert gateway.admin.get("/api/v1/build/").json()["count"] == 0


def test_refusals_are_summed_by_the_minute(gateway: RunningGateway) -> None:
    for _ in range(5):
        assert gateway.http.put(ENVIRONMENT, json={"description": "mine"}).status_code == 403
    found = [row for row in rows(gateway, outcome="denied") if row["action"] == "environment::update"]
    assert sum(row["count"] for row in found) == 5
    assert len(found) <= 2  # a minute may end meanwhile
    assert {(row["principal"], row["resource"], row["address"]) for row in found} == {
        ("anonymous", "default/first", "127.0.0.1")
    }


def test_a_scan_of_many_things_is_few_rows(database: Database) -> None:
    tallies = Tallies(database)
    for number in range(20 * DENIALS_APART):
        tallies.denied(principal="scanner", action="environment::read", resource=f"default/e{number}")
    tallies.flush()
    with database.transaction() as session:
        found = audit.page(session, audit.AuditFilter(), before=None, limit=1000)
    assert sum(row.count for row in found) == 20 * DENIALS_APART
    assert len(found) <= 2 * (DENIALS_APART + 1)
    assert any(row.resource == "*/*" for row in found)


def test_a_refusal_of_any_length_does_not_stop_what_is_counted_with_it(gateway: RunningGateway) -> None:
    # An entry of an index holds 2,700 bytes, and these do not get smaller by compression.
    name = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=9000))
    for space in (name, "secret"):
        assert gateway.http.get(f"/api/v1/namespace/{space}/").status_code == 403
    assert {row["resource"][:10] for row in rows(gateway)} == {"secret/*", name[:10]}


def test_downloads_are_summed_by_the_day_and_cost_no_write_each(gateway: RunningGateway) -> None:
    build_id = gateway.post("first")
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    gateway.make(build_id, ArtifactType.LOCKFILE, b"{}")
    for _ in range(4):
        assert gateway.admin.get(f"/api/v1/build/{build_id}/lockfile/").status_code == 307
    assert gateway.http.get(f"/api/v1/build/{build_id}/lockfile/").status_code == 307
    found = {row["principal"]: row for row in rows(gateway, action="artifact::download")}
    assert {name: row["count"] for name, row in found.items()} == {"admin": 4, "anonymous": 1}
    one = found["admin"]
    assert one["resource"].startswith("sha256:")
    assert one["namespace"] == "default"
    assert one["details"] == {"of": "default/first", "artifact": "LOCKFILE"}
    gateway.admin.get(f"/api/v1/build/{build_id}/lockfile/")
    again = rows(gateway, action="artifact::download", principal="admin")
    assert [(row["id"], row["count"]) for row in again] == [(one["id"], 5)]


def test_two_processes_add_to_the_same_sums(database: Database) -> None:
    many = [Tallies(database) for _ in range(4)]

    def count(tallies: Tallies) -> None:
        for number in range(50):
            tallies.fetched(principal="p", action="image::pull", resource="default/x", digest=f"{number % 7:064}")
            tallies.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, many))
    with database.transaction() as session:
        found = audit.page(session, audit.AuditFilter(action="image::pull"), before=None, limit=100)
    assert sum(row.count for row in found) == 200
    assert len(found) in (7, 14)  # midnight


def test_nothing_counted_is_lost_while_the_database_is_away(database: Database) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/none")
    tallies = Tallies(away)
    tallies.denied(principal="p", action="a", resource="r")
    with pytest.raises(Exception, match="cannot be reached"):
        tallies.flush()
    tallies.denied(principal="p", action="a", resource="r")
    tallies._database = database
    tallies.flush()
    away.close()
    with database.transaction() as session:
        assert sum(row.count for row in audit.page(session, audit.AuditFilter(), before=None, limit=9)) == 2


def fill(gateway: RunningGateway, count: int) -> None:
    with gateway.database.transaction() as session:
        for number in range(count):
            audit.record(
                session,
                principal=f"p{number % 3}",
                action="environment::update",
                resource=f"team{number % 2}/e{number}",
                details={"note": "https://me:secret@host/x"},
            )


def test_filters_and_pages(gateway: RunningGateway) -> None:
    fill(gateway, 30)
    assert len(rows(gateway, principal="p1")) == 10
    assert len(rows(gateway, namespace="team1")) == 15
    assert rows(gateway, outcome="failed") == []
    now = datetime.now(UTC)
    assert rows(gateway, since=(now + timedelta(minutes=1)).isoformat()) == []
    assert len(rows(gateway, since=(now - timedelta(minutes=1)).isoformat(), until="")) == 30
    assert rows(gateway, until=(now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S")) == []
    seen, cursor = [], ""
    while True:
        page = gateway.admin.get("/api/v1/audit/", params={"limit": 7, "cursor": cursor}).json()
        seen += [row["resource"] for row in page["data"]]
        if page["cursor"] is None:
            break
        cursor = page["cursor"]
    assert seen == [f"team{number % 2}/e{number}" for number in reversed(range(30))]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"cursor": "x"}, 400),
        ({"cursor": "9" * 40}, 400),
        ({"since": "yesterday"}, 422),
        ({"outcome": "perhaps"}, 422),
        ({"format": "csv"}, 422),
        ({"limit": "0"}, 422),
        ({"principal": "a\0b"}, 422),
        ({"since": "0001-01-01T00:00:00+14:00"}, 200),
    ],
)
def test_wrong_questions_are_said_to_be_wrong(gateway: RunningGateway, query: dict[str, str], status: int) -> None:
    assert gateway.admin.get("/api/v1/audit/", params=query).status_code == status


def test_the_export_has_every_row_and_holds_few_of_them(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    page = audit.page

    def watched(*args: Any, limit: int, **more: Any) -> Any:
        asked.append(limit)
        return page(*args, limit=limit, **more)

    monkeypatch.setattr(audit, "page", watched)
    monkeypatch.setattr(audit_route, "EXPORT_ROWS", 10)
    fill(gateway, 35)
    reply = gateway.admin.get("/api/v1/audit/", params={"format": "jsonl", "principal": "p0"})
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert len(lines) == 12
    assert {line["principal"] for line in lines} == {"p0"}
    assert "secret" not in reply.text
    assert asked == [10, 10, 10]


def test_who_may_not_read_it_is_told_so(gateway: RunningGateway) -> None:
    assert gateway.http.get("/api/v1/audit/").status_code == 403
    assert gateway.http.get("/api/v1/audit/", params={"namespace": "default"}).status_code == 403


def test_a_row_is_never_changed_or_deleted_but_by_retention(gateway: RunningGateway) -> None:
    fill(gateway, 1)
    with psycopg.connect(gateway.database.url, autocommit=True) as connection:
        for statement in (
            "update audit set principal = 'somebody else'",
            "update audit set count = 7",
            "delete from audit",
        ):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement)
    assert len(rows(gateway)) == 1


def test_rows_end_with_their_retention(gateway: RunningGateway) -> None:
    fill(gateway, 3)
    long_ago = datetime.now(UTC) - timedelta(days=10)
    with gateway.database.transaction() as session:
        session.execute(
            sqlalchemy.insert(Audit).values(
                principal="old", action="a", resource="r/r", outcome="done", happened_on=long_ago, last_on=long_ago
            )
        )
    assert audit_route.forget(gateway.gateway, 30) == 0
    assert audit_route.forget(gateway.gateway, 7) == 1
    assert {row["principal"] for row in rows(gateway)} == {"p0", "p1", "p2"}


def test_what_was_counted_is_written_when_the_gateway_stops(database_url: str, storage_dir: Any) -> None:
    from tests.fixtures.gateway import running_gateway

    with within(10), running_gateway(database_url, storage_dir) as running:
        running.http.delete(ENVIRONMENT)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select sum(count) from audit where outcome = 'denied'").fetchone() == (1,)


def test_a_redirected_client_is_counted_once(gateway: RunningGateway) -> None:
    """The address that a download leads to is part of the same download."""
    build_id = gateway.post("first")
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    gateway.make(build_id, ArtifactType.LOCKFILE, b"{}")
    with httpx.Client(base_url=gateway.address, follow_redirects=True) as client:
        assert client.get(f"/api/v1/build/{build_id}/lockfile/").status_code == 200
    assert [row["count"] for row in rows(gateway, action="artifact::download")] == [1]


def test_the_administrator_of_a_namespace_reads_what_is_about_it(gateway: RunningGateway) -> None:
    fill(gateway, 4)
    for name in ("team0", "team1"):
        assert gateway.admin.post(f"/api/v1/namespace/{name}/").status_code == 200

    def ask(bindings: dict[str, list[str]], **query: str) -> httpx.Response:
        made = gateway.admin.post("/api/v1/token/", json={"role_bindings": bindings})
        assert made.status_code == 200, made.text
        headers = {"Authorization": f"Bearer {made.json()['data']['token']}"}
        return gateway.http.get("/api/v1/audit/", params=query, headers=headers)

    own = ask({"team1/*": ["admin"]})
    assert own.status_code == 200
    assert {row["namespace"] for row in own.json()["data"]} == {"team1"}
    assert len(own.json()["data"]) == 3
    lines = ask({"team1/*": ["admin"]}, format="jsonl").text.splitlines()
    assert {json.loads(line)["namespace"] for line in lines} == {"team1"}
    assert ask({"team1/*": ["admin"]}, namespace="team0").status_code == 403
    for less in ({"team1/*": ["developer"]}, {"team1/e*": ["admin"]}):
        assert ask(less).status_code == 403
        assert ask(less, namespace="team1").status_code == 403

"""Lists take few statements, and read no more rows for more of them: seen from Postgres' side."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from benchmarks import rows
from condarium.database.reads import READ_ONLY
from tests.fixtures.gateway import RunningGateway, running_gateway, token_of
from tests.fixtures.infrastructure import _database
from tests.fixtures.served import make_lock
from tests.fixtures.statements import Statements, listening_to

#: what a page of 100 may read of 8000 builds: its rows, their names, and sums
MOST_ROWS = 1500


@dataclass
class Watched:
    """A gateway whose statements are heard; `url` is the database's own address."""

    gateway: RunningGateway
    statements: Statements
    url: str

    def ask(self, path: str, headers: dict[str, str] | None = None) -> tuple[Any, list[str]]:
        """The reply, and the statements of a request whose caller is known by now."""
        client = self.gateway.http if headers is not None else self.gateway.admin
        found: list[list[str]] = []
        for _ in range(10):  # the gateway's own tasks may ask something meanwhile
            before = len(self.statements.heard)
            reply = client.get(path, headers=headers or {})
            assert reply.status_code == 200, reply.text
            found.append(self.statements.heard[before:])
            if len(found[-1]) == 1:
                break
        return reply.json(), min(found, key=len)

    def read(self, statement: str) -> int:
        """Rows that Postgres touches to answer it, whether it shows them or not."""
        with psycopg.connect(self.url, autocommit=True, options=READ_ONLY) as connection:
            row = connection.execute(f"explain (analyze, format json, timing off) {statement}".encode()).fetchone()
        assert row is not None
        return _touched(row[0][0]["Plan"])


def _touched(plan: dict[str, Any]) -> int:
    inner = plan.get("Plans", ())
    if not plan["Node Type"].endswith("Scan") or plan["Node Type"] == "Subquery Scan":
        return sum(_touched(each) for each in inner)
    seen = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return round(seen * plan["Actual Loops"]) + sum(_touched(each) for each in inner)


@pytest.fixture(scope="module")
def watched(
    postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    storage = tmp_path_factory.mktemp("storage")
    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with listening_to(url) as statements, running_gateway(statements.url, storage) as running:
            for number in range(6):
                build_id = running.post(f"e{number}", namespace=("team", "other", None)[number % 3])
                running.solve(build_id, make_lock("zlib"))
                running.complete(build_id)
            rows.fill(url, environments=2000, builds=8000, namespaces=5)
            yield Watched(running, statements, url)


LISTS = [
    "/api/v1/environment/?page=1",
    "/api/v1/environment/",
    "/api/v1/environment/?page=1&size=5&search=e&status=COMPLETED&packages=zlib&artifact=YAML",
    "/api/v2/environment/?limit=5&sort_by=name",
    "/api/v1/build/",
    "/api/v1/build/?page=70",
    "/api/v1/build/?namespace=default&name=e2&order=desc&sort_by=scheduled_on&status=COMPLETED",
    "/api/v1/namespace/?size=1",
    "/api/v1/usage/",
    "/api/v1/permission/",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_three_statements_at_most(watched: Watched, path: str) -> None:
    _, heard = watched.ask(path)
    assert len(heard) <= 3, "\n".join(heard)


@pytest.mark.parametrize("path", [path for path in LISTS if "environment" in path or "build/?" in path])
@pytest.mark.parametrize("headers", [{}, token_of("viewer"), token_of("part")], ids=["anonymous", "viewer", "part"])
def test_rows_and_count_are_one_statement_whoever_asks(watched: Watched, path: str, headers: dict[str, str]) -> None:
    _, heard = watched.ask(path, headers)
    assert len(heard) == 1, "\n".join(heard)


def test_a_token_that_is_not_remembered_takes_no_more_than_three(watched: Watched) -> None:
    made = watched.gateway.admin.post("/api/v1/token/", json={"role_bindings": {"team/*": ["viewer"]}})
    headers = {"Authorization": f"Bearer {made.json()['data']['token']}"}
    watched.gateway.gateway.authenticator.forget()
    before = len(watched.statements.heard)
    reply = httpx.get(f"{watched.gateway.address}/api/v1/environment/?page=1", headers=headers)
    assert reply.json()["count"] > 0
    assert len(watched.statements.heard) - before <= 4, "the token, what it is worth, its owner's roles, and the list"


HOT = [
    "/api/v1/environment/?page=1",
    "/api/v1/environment/?page=1&order=desc",
    "/api/v1/environment/?page=1&namespace=team-00002",
    "/api/v1/environment/?size=10",
    "/api/v2/environment/",
    "/api/v2/environment/?sort_by=namespace,name",
    "/api/v1/build/",
    "/api/v1/build/?order=desc",
    "/api/v1/build/?namespace=team-00002",
    "/api/v1/build/?size=10",
    "/api/v1/namespace/",
]
#: one index is in that order, and none of each namespace is
OF_ALL = [
    "/api/v2/environment/?sort_by=name",
    "/api/v1/build/?order=desc&sort_by=scheduled_on",
    "/api/v1/build/?sort_by=ended_on",
]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        *((path, headers) for path in HOT for headers in (None, {}, token_of("viewer"))),
        *((path, None) for path in OF_ALL),
    ],
)
def test_a_first_page_does_not_read_the_table(watched: Watched, path: str, headers: dict[str, str] | None) -> None:
    reply, heard = watched.ask(path, headers)
    assert len(heard) == 1, "\n".join(heard)
    shown = heard[0].replace("$1", "'team-00002'")
    assert watched.read(shown) <= MOST_ROWS, f"{json.dumps(reply)[:200]}\n{shown}"


@pytest.mark.parametrize(("path", "most"), [("/api/v1/build/1/", 5), ("/api/v1/build/1/packages/?size=1", 4)])
def test_one_build_takes_no_more_for_more_of_it(watched: Watched, path: str, most: int) -> None:
    _, heard = watched.ask(path)
    assert len(heard) <= most, "\n".join(heard)

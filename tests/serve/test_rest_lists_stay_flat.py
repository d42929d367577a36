"""Lists take three statements at most, however many rows there are."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.served import make_lock


@contextmanager
def statements(gateway: RunningGateway) -> Iterator[list[str]]:
    found: list[str] = []

    def note(connection: object, cursor: object, statement: str, *more: object) -> None:
        found.append(statement)

    engine = gateway.gateway.database._engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/environment/",
        "/api/v1/environment/?page=1&size=5&search=e&status=COMPLETED&packages=zlib&artifact=YAML",
        "/api/v2/environment/?limit=5&sort_by=name",
        "/api/v1/build/?size=5",
        "/api/v1/build/?namespace=default&name=e1&order=desc&sort_by=scheduled_on",
        "/api/v1/namespace/?size=1",
        "/api/v1/usage/",
        "/api/v1/permission/",
        "/api/v1/build/1/packages/?size=1",
    ],
)
def test_a_list_takes_three_statements_at_most(quiet_gateway: RunningGateway, path: str) -> None:
    if quiet_gateway.admin.get("/api/v1/build/").json()["count"] == 0:
        for number in range(12):
            build_id = quiet_gateway.post(f"e{number}", namespace=f"n{number % 3}" if number % 2 else None)
            quiet_gateway.solve(build_id, make_lock("zlib"))
            quiet_gateway.complete(build_id)
    with statements(quiet_gateway) as found:
        assert quiet_gateway.admin.get(path).status_code == 200
    asked = [each for each in found if "pg_catalog" not in each and not each.startswith("SELECT 1")]
    assert len(asked) <= 3, "\n".join(asked)


def test_a_build_in_detail_takes_five(quiet_gateway: RunningGateway) -> None:
    build_id = quiet_gateway.post("detail")
    with statements(quiet_gateway) as found:
        assert quiet_gateway.admin.get(f"/api/v1/build/{build_id}/").status_code == 200
    assert len(found) <= 5

"""A manifest that many pull is looked up once, and whatever changes is seen by the next request."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.database import builds
from services.registry import handlers
from tests.fixtures.registry import RunningRegistry
from tests.fixtures.served import make_lock

TAG = "/v2/env/manifests/latest"


class Looks:
    """How often the database was asked for an image by its tag."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = handlers.find_image

        def counted(*positional: Any, **named: Any) -> Any:
            self.count += 1
            return real(*positional, **named)

        monkeypatch.setattr(handlers, "find_image", counted)

    def during(self, work: Callable[[], object]) -> int:
        before = self.count
        work()
        return self.count - before


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


@pytest.fixture
def pulled(registry: RunningRegistry) -> RunningRegistry:
    generation(registry, "zlib")
    return registry


def generation(registry: RunningRegistry, package: str) -> int:
    made = registry.submit("env", package=package)
    registry.solve(made.build_id, make_lock(package))
    registry.complete(made.build_id)
    registry.make_image(made.build_id, {"opt/env/data": package.encode()})
    return made.build_id


def digest(registry: RunningRegistry) -> str:
    reply = registry.http.get(TAG)
    assert reply.status_code == 200, reply.text
    return reply.headers["docker-content-digest"]


def write(registry: RunningRegistry) -> None:
    """Something that has nothing to do with images."""
    with registry.database.transaction() as session:
        session.execute(text("update namespaces set created_by = created_by"))


def test_what_nothing_has_changed_is_asked_once(pulled: RunningRegistry, looks: Looks) -> None:
    digest(pulled)

    def pull_often() -> None:
        for _ in range(20):
            digest(pulled)

    # the counts of pulls are written now and then
    assert looks.during(pull_often) <= 2
    assert looks.during(lambda: (write(pulled), digest(pulled))) == 1


def test_a_change_is_seen_by_the_next_request(pulled: RunningRegistry) -> None:
    first = digest(pulled)
    with pulled.database.transaction() as session:
        # begun before it was remembered, and ended after
        session.execute(text("update namespaces set created_by = created_by"))
        assert digest(pulled) == first
        assert digest(pulled) == first
    build_id = generation(pulled, "bzip2")
    second = digest(pulled)
    assert second != first
    by_digest = f"/v2/env/manifests/{second}"
    layer = f"/v2/env/blobs/{pulled.http.get(by_digest).json()['layers'][0]['digest']}"
    assert pulled.http.get(by_digest).status_code == pulled.http.get(layer).status_code == 200

    def take_away(session: Session) -> None:
        build = builds.load(session, build_id)
        build.deleted_on = session.execute(text("select clock_timestamp()")).scalar_one()

    with pulled.database.transaction() as session:
        take_away(session)
    assert pulled.http.get(by_digest).status_code == pulled.http.get(layer).status_code == 404
    with pulled.database.transaction() as session:
        session.execute(text("update environments set deleted_on = clock_timestamp() where name = 'env'"))
    assert pulled.http.get(TAG).status_code == 404


def test_who_may_not_is_not_told_what_others_were(pulled: RunningRegistry) -> None:
    made = pulled.submit("env", namespace="secret")
    pulled.solve(made.build_id, make_lock("zlib"))
    pulled.complete(made.build_id)
    pulled.make_image(made.build_id, {"opt/env/data": b"zlib"})
    path = "/v2/secret/env/manifests/latest"
    for _ in range(2):
        assert pulled.admin.get(path).status_code == 200
        assert pulled.http.get(path).status_code == 401


def test_what_is_missing_is_asked_for_each_time(pulled: RunningRegistry, looks: Looks) -> None:
    def miss() -> None:
        for _ in range(3):
            assert pulled.http.get("/v2/env/manifests/nope").status_code == 404

    assert looks.during(miss) == 3


def test_many_at_once_ask_together(pulled: RunningRegistry, looks: Looks) -> None:
    def rush() -> None:
        with ThreadPoolExecutor(24) as pool:
            assert set(pool.map(lambda _: pulled.http.get(TAG).status_code, range(240))) == {200}

    assert looks.during(rush) < 40


def test_a_broken_connection_is_made_again(pulled: RunningRegistry) -> None:
    before = digest(pulled)
    for _ in range(2):
        with pulled.database.transaction() as session:
            ended = session.execute(
                text(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() "
                    "and application_name = 'condarium-snapshots'"
                )
            )
            assert list(ended.scalars()) == [True]
        assert digest(pulled) == before

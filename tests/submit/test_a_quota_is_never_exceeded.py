"""Quotas of namespaces: a clear 403 that says which and how much, whoever comes at the same time; and what is used."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from condarium.conda import matchspec
from condarium.database import Database, builds, environments, namespaces, settings, stores, usage
from condarium.database.settings import Place
from condarium.database.tables import NamespaceUsage
from condarium.domain import specification
from condarium.domain.artifact import ArtifactType
from condarium.domain.build import Status
from condarium.domain.quota import Usage
from condarium.errors import QuotaExceeded
from condarium.work.submission import Submitted, submit
from tests.fixtures.gateway import RunningGateway, token_of
from tests.fixtures.patience import CLIENT_SECONDS
from tests.fixtures.registry import TOKEN, RunningRegistry
from tests.fixtures.served import make_lock


def post(database: Database, name: str = "env", namespace: str = "team") -> Submitted:
    wanted = specification.parse(
        json.dumps({"name": name, "channels": ["conda-forge"], "dependencies": ["python"]}),
        check_match_spec=matchspec.check,
    )
    with database.transaction() as session:
        return submit(session, wanted, namespace=namespace, actor="test", source="api")


@pytest.fixture
def limit(database: Database) -> Callable[..., None]:
    def change(namespace: str = "team", **quotas: int | None) -> None:
        with database.transaction() as session:
            space = namespaces.ensure(session, namespace, actor="test")
            changes = {f"quota_{name}": value for name, value in quotas.items()}
            settings.change(session, Place(space.id), changes, actor="test")

    return change


def used(database: Database, namespace: str = "team") -> Usage:
    with database.transaction() as session:
        return usage.of_namespace(session, namespaces.load(session, namespace).id)


def end(database: Database, build_id: int) -> None:
    with database.transaction() as session:
        builds.cancel(session, builds.load(session, build_id, lock=True), actor="test")


@pytest.mark.parametrize("quota", ["builds", "concurrent_builds"])
def test_twenty_at_once_get_no_more_than_there_is_room_for(
    database: Database, limit: Callable[..., None], quota: str
) -> None:
    limit(**{quota: 5})

    def one(number: int) -> str:
        try:
            # Some into one environment, some into their own.
            post(database, f"env-{number % 7}")
        except QuotaExceeded as error:
            return str(error)
        return "made"

    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(one, range(20)))
    assert said.count("made") == 5
    assert used(database) == Usage(environments=used(database).environments, builds=5, active=5)
    refused = next(each for each in said if each != "made")
    assert refused.startswith("the namespace team has 5 builds")
    assert "its quota is 5" in refused
    assert f"quota_{quota}" in refused


def test_room_comes_back(database: Database, limit: Callable[..., None]) -> None:
    limit(concurrent_builds=1)
    first = post(database)
    with pytest.raises(QuotaExceeded):
        post(database)
    end(database, first.build_id)
    post(database)
    limit(concurrent_builds=None, builds=2)
    with pytest.raises(QuotaExceeded, match="has 2 builds, and its quota is 2; delete builds"):
        post(database, "more")
    with database.transaction() as session:
        environments.delete(session, environments.load(session, "team", "env", lock=True), actor="test")
    post(database, "more")


def test_a_quota_is_of_its_own_namespace(database: Database, limit: Callable[..., None]) -> None:
    limit(builds=0)
    post(database, namespace="other")
    with pytest.raises(QuotaExceeded):
        post(database)


def test_what_is_refused_leaves_nothing(database: Database, limit: Callable[..., None]) -> None:
    limit(builds=0)
    with pytest.raises(QuotaExceeded):
        post(database)
    with database.transaction() as session:
        assert session.execute(text("select count(*) from environments")).scalar_one() == 0
        assert session.execute(text("select count(*) from builds")).scalar_one() == 0
        assert session.execute(text("select count(*) from outbox")).scalar_one() == 0


def complete(database: Database, build_id: int, lock_name: str, size: int, links: dict[str, int]) -> None:
    """As a builder ends a build whose prefix has `size` bytes, of which `links` are hard links."""
    from condarium.database import locks

    lock = make_lock(lock_name)
    with database.transaction() as session:
        build = builds.load(session, build_id, lock=True)
        builds.move(session, build, Status.BUILDING)
        locks.store(session, build, {"linux-64": lock}, actor="test")
        session.execute(
            text("insert into stores (uuid, directory) values (gen_random_uuid(), '/s') on conflict do nothing")
        )
        store = session.execute(text("select min(id) from stores")).scalar_one()
        build.prefix_id = stores.record_prefix(
            session,
            store_id=store,
            namespace_id=build.environment.namespace_id,
            lock_hash=lock.hash,
            name=build.environment.name,
            path=f"{build_id}",
            size=size,
            own_size=size - sum(links.values()),
            actor="test",
        )
        usage.record_links(session, lock.hash, links)
        builds.move(session, build, Status.COMPLETED)


def measured(database: Database) -> int:
    with database.transaction() as session:
        return usage.measure(session)


def test_bytes_are_counted_once_and_told_apart_by_who_shares_them(database: Database) -> None:
    links = {"package:numpy": 1000, "package:zlib": 50}
    complete(database, post(database, "a").build_id, "one", 1100, links)
    complete(database, post(database, "b").build_id, "one", 1100, links)
    assert used(database).bytes == 0
    assert measured(database) == 1
    # Two prefixes of 50 own bytes each, and the packages once.
    assert (used(database).exclusive, used(database).shared) == (1150, 0)
    other = post(database, "c", "other").build_id
    complete(database, other, "two", 1030, {"package:numpy": 1000})
    measured(database)
    assert (used(database).exclusive, used(database).shared) == (150, 1000)
    assert (used(database, "other").exclusive, used(database, "other").shared) == (30, 1000)
    with database.transaction() as session:
        builds.delete(session, builds.load(session, other, lock=True))
    measured(database)
    assert (used(database).exclusive, used(database).shared) == (1150, 0)
    assert (used(database, "other").exclusive, used(database, "other").shared) == (0, 0)
    assert measured(database) == 0


def test_bytes_over_the_quota_stop_submissions_and_say_how_many(database: Database, limit: Callable[..., None]) -> None:
    limit(bytes=20_000_000)
    complete(database, post(database).build_id, "one", 20_000_000, {})
    measured(database)
    with pytest.raises(QuotaExceeded) as caught:
        post(database)
    said = str(caught.value)
    assert "uses 20,000,000 bytes (0.02 GB), and its quota is 20,000,000 bytes (0.02 GB); delete builds" in said
    limit(bytes=20_000_001)
    post(database)


def test_counts_are_right_whatever_is_folded_when(database: Database) -> None:
    made = [post(database, f"e{number}").build_id for number in range(4)]
    measured(database)
    end(database, made[0])
    assert (used(database).builds, used(database).active) == (4, 3)
    measured(database)
    assert (used(database).builds, used(database).active) == (4, 3)
    with database.transaction() as session:
        session.execute(text("update builds set status = 'FAILED' where id = :id"), {"id": made[1]})
        builds.delete(session, builds.load(session, made[1], lock=True))
        assert session.execute(text("select count(*) from usage_changes")).scalar_one() > 0
    assert (used(database).builds, used(database).active) == (3, 2)
    measured(database)
    with database.transaction() as session:
        (row,) = session.query(NamespaceUsage).all()
        assert (row.builds, row.active) == (3, 2)


def put_quota(client: httpx.Client, **limits: Any) -> httpx.Response:
    return client.put("/api/v1/namespace/team/quota", json=limits)


def test_rest_shows_usage_quota_and_what_is_left(gateway: RunningGateway) -> None:
    build = gateway.post("env", namespace="team")
    gateway.post("env", namespace="default")
    lock = make_lock("zlib")
    gateway.solve(build, lock)
    gateway.complete(build)
    gateway.make(build, ArtifactType.YAML, b"12345")
    gateway.make_image(build)
    assert put_quota(gateway.admin, builds=3, concurrent_builds=2).json()["status"] == "ok"
    assert gateway.admin.get("/api/v1/namespace/team/quota").json()["data"] == {
        "builds": 3,
        "bytes": None,
        "concurrent_builds": 2,
    }
    measured(gateway.database)
    shown = gateway.admin.get("/api/v1/usage/").json()["data"]
    layers = sum(len(layer) for layer in gateway.layers.values())
    team = shown["team"]
    assert set(shown) == {"team", "default"}
    assert (team["num_environments"], team["num_builds"]) == (1, 1)
    assert team["storage"] > 5 + layers
    own = team["condarium"]
    assert team["storage"] == own["exclusive"] + own["shared"]
    assert own["quota"] == {"builds": 3, "bytes": None, "concurrent_builds": 2}
    assert own["left"] == {"builds": 2, "bytes": None, "concurrent_builds": 2}
    assert own["measured_on"] is not None
    assert shown["default"]["condarium"]["concurrent_builds"] == 1
    # The default is public, the rest is not.
    assert set(gateway.http.get("/api/v1/usage/").json()["data"]) <= {"default"}
    assert gateway.http.get("/api/v1/namespace/team/quota").status_code == 403


def test_rest_refuses_with_403_another_build_and_a_retry_too(gateway: RunningGateway) -> None:
    first = gateway.post("env", namespace="team")
    gateway.admin.put(f"/api/v1/build/{first}/cancel/")
    second = gateway.post("env", namespace="team")
    put_quota(gateway.admin, concurrent_builds=1)
    said = "the namespace team has 1 build queued or running, and its quota is 1"
    body = {"specification": "name: env\nchannels: [a]\ndependencies: [b]\n", "namespace": "team"}
    for reply in (
        gateway.admin.post("/api/v1/specification/", json=body),
        gateway.admin.put(f"/api/v1/build/{second}/"),
        gateway.admin.put(f"/api/v1/build/{first}/retry/"),
    ):
        assert (reply.status_code, reply.json()["code"]) == (403, "quota-exceeded")
        assert reply.json()["message"].startswith(said)
    gateway.admin.put(f"/api/v1/build/{second}/cancel/")
    assert gateway.admin.put(f"/api/v1/build/{first}/retry/").status_code == 200


def test_nobody_is_rid_of_a_quota_by_making_their_namespace_anew(gateway: RunningGateway) -> None:
    owner, team = token_of("owner"), "/api/v1/namespace/team/"
    quota = {"builds": 1, "bytes": None, "concurrent_builds": None}
    assert gateway.admin.post(team).status_code == 200
    assert gateway.admin.put(f"{team}quota", json={"builds": 1}).status_code == 200
    assert gateway.admin.put("/api/v1/setting/team/", json={"conda_default_packages": ["zlib"]}).status_code == 200
    assert gateway.admin.put("/api/v1/setting/team/first/", json={"link_scripts": True}).status_code == 200
    for _ in range(2):
        assert gateway.http.delete(team, headers=owner).status_code == 200
        assert gateway.http.post(team, headers=owner).status_code == 200
        assert gateway.http.get(f"{team}quota", headers=owner).json()["data"] == quota
    found = gateway.http.get("/api/v1/setting/team/first/", headers=owner).json()["data"]
    assert found["link_scripts"] is True
    # What is theirs to set begins anew.
    assert found["conda_default_packages"] == []


def test_a_global_quota_is_for_each_namespace_without_its_own(gateway: RunningGateway) -> None:
    assert gateway.admin.put("/api/v1/setting/", json={"quota_builds": 1}).status_code == 200
    assert gateway.admin.post("/api/v1/namespace/team/").status_code == 200
    put_quota(gateway.admin, builds=2)
    body = {"specification": "name: env\nchannels: [a]\ndependencies: [b]\n"}
    codes = {
        name: [
            gateway.admin.post("/api/v1/specification/", json={**body, "namespace": name}).status_code for _ in "123"
        ]
        for name in ("team", "other")
    }
    assert codes == {"team": [200, 200, 403], "other": [200, 403, 403]}
    put_quota(gateway.admin, builds=None)
    assert gateway.admin.get("/api/v1/namespace/team/quota").json()["data"]["builds"] == 1


@pytest.mark.parametrize("wrong", [{"builds": -1}, {"builds": "5"}, {"bytes": 1.5}, {"concurrent_builds": True}])
def test_a_wrong_quota_is_told(quiet_gateway: RunningGateway, wrong: dict[str, Any]) -> None:
    assert put_quota(quiet_gateway.admin, **wrong).status_code == 422


def test_a_quota_of_nobody_is_not_found(quiet_gateway: RunningGateway) -> None:
    assert quiet_gateway.admin.put("/api/v1/namespace/nobody/quota", json={"builds": 1}).status_code == 404
    assert quiet_gateway.admin.get("/api/v1/namespace/nobody/quota").status_code == 404


def test_a_pull_by_packages_is_held_to_the_quota(registry: RunningRegistry) -> None:
    with registry.database.transaction() as session:
        space = namespaces.ensure(session, "dynamic", actor="test", reserved=True)
        settings.change(session, Place(space.id), {"quota_builds": 0}, actor="test")
    url = f"http://{registry.address}/v2/dynamic/numpy/manifests/latest"
    reply = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=CLIENT_SECONDS)
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (403, "DENIED")
    assert "its quota is 0" in reply.json()["errors"][0]["message"]

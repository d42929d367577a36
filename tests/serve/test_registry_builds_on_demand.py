"""A pull of `dynamic/<packages>` asks for the environment itself, once, and only for those who may create any."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from condarium.conda import matchspec
from condarium.domain.naming import check_name
from condarium.domain.on_demand import environment_name, parse_packages
from condarium.errors import InvalidInput
from tests.fixtures.packager import wait_for
from tests.fixtures.registry import TOKEN, RunningRegistry
from tests.fixtures.served import make_lock


@pytest.mark.parametrize(
    ("components", "specs"),
    [
        (["python.eq.3.11", "numpy.ge.2", "pandas"], ("numpy >=2", "pandas", "python =3.11")),
        (["pandas", "numpy.ge.2", "python.eq.3.11"], ("numpy >=2", "pandas", "python =3.11")),
        (["python.ge.3.8.lt.3.12"], ("python >=3.8,<3.12",)),
        (["scikit-learn", "a.b"], ("a.b", "scikit-learn")),
        (["numpy.ne.2.0.le.2.2.gt.1"], ("numpy !=2.0,<=2.2,>1",)),
    ],
)
def test_components_are_match_specs(components: list[str], specs: tuple[str, ...]) -> None:
    assert parse_packages(components) == specs
    for spec in specs:
        matchspec.check(spec)


@pytest.mark.parametrize("components", [[], [".eq.3"], ["python.eq."], ["x"] * 51, ["a--x20b"], ["-a"]])
def test_what_is_no_package_is_told(components: list[str]) -> None:
    with pytest.raises(InvalidInput):
        parse_packages(components)


@given(st.lists(st.from_regex(r"[a-z0-9]{1,20}(\.(eq|ge)\.[0-9]{1,3})?", fullmatch=True), min_size=1, max_size=20))
def test_every_set_of_packages_has_a_name(components: list[str]) -> None:
    packages = parse_packages(components)
    assert check_name("environment", environment_name(packages))
    assert environment_name(packages) == environment_name(parse_packages(list(reversed(components))))


def pull(registry: RunningRegistry, name: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.get(f"http://{registry.address}/v2/{name}/manifests/latest", headers=headers, timeout=30)


def builds_of(registry: RunningRegistry) -> list[int]:
    with registry.database.transaction() as session:
        return list(session.execute(text("select id from builds order by id")).scalars())


def test_a_pull_by_packages_builds_them_once(registry: RunningRegistry) -> None:
    names = ["dynamic/python.eq.3.11/numpy", "dynamic/numpy/python.eq.3.11", "conda-store-dynamic/numpy/python.eq.3.11"]
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(pull, registry, name) for name in names * 2]
        build_id = wait_for(lambda: found[0] if (found := builds_of(registry)) else None)
        with registry.database.transaction() as session:
            spec = session.execute(text("select spec from specifications")).scalar_one()
        assert spec["dependencies"] == ["numpy", "python =3.11"]
        registry.solve(build_id, make_lock("a"))
        registry.complete(build_id)
        digest = registry.make_image(build_id)
        registry.publish()
        replies = [pending.result(20) for pending in waiting]
    assert {reply.headers.get("docker-content-digest") for reply in replies} == {f"sha256:{digest}"}
    assert builds_of(registry) == [build_id]
    assert pull(registry, names[0]).status_code == 200
    layer = replies[0].json()["layers"][0]["digest"]
    assert registry.admin.get(f"/v2/{names[1]}/blobs/{layer}").status_code == 200
    assert builds_of(registry) == [build_id]


def test_a_failure_is_told_and_not_tried_again_at_once(registry: RunningRegistry) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pull, registry, "dynamic/nonesuch")
        build_id = wait_for(lambda: found[0] if (found := builds_of(registry)) else None)
        registry.solve(build_id)
        registry.fail(build_id, "nonesuch does not exist")
        with registry.database.transaction() as session:
            from condarium.database import builds, outbox
            from condarium.events import BuildFailed

            build = builds.load(session, build_id)
            event = builds.event(session, build, BuildFailed, actor="test", reason="unsolvable", message="no")
            outbox.add(session, event, source="builder")
        registry.publish()
        assert "nonesuch does not exist" in waiting.result(10).json()["errors"][0]["message"]
    assert pull(registry, "dynamic/nonesuch").status_code == 404
    assert builds_of(registry) == [build_id]


def test_only_those_who_may_create_environments_ask_for_any(registry: RunningRegistry) -> None:
    reply = registry.http.get("/v2/dynamic/numpy/manifests/latest")
    assert reply.status_code == 401
    assert builds_of(registry) == []


@pytest.mark.parametrize("name", ["dynamic", "dynamic/python.eq."])
def test_a_wrong_name_is_told(registry: RunningRegistry, name: str) -> None:
    reply = pull(registry, name)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["code"] == "NAME_INVALID"
    assert builds_of(registry) == []

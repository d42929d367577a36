"""A pull of `dynamic/<packages>` asks for the environment itself, once, and only for those who may start builds."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from condarium.database import artifacts, builds, namespaces, outbox, settings
from condarium.database.settings import Place
from condarium.domain.artifact import ArtifactType
from condarium.events import BuildFailed
from tests.fixtures.patience import CLIENT_SECONDS, patient, wait_for
from tests.fixtures.registry import TOKEN, RunningRegistry, running_registry
from tests.fixtures.served import make_lock

ANONYMOUS_PULLS = {"default/*": ["viewer"], "dynamic/*": ["viewer"]}
READER, WRITER = "reader-token", "writer-token"
PEOPLE = {
    READER: {"name": "reader", "role_bindings": {"dynamic/*": ["viewer"]}},
    WRITER: {"name": "writer", "role_bindings": {"dynamic/*": ["developer"]}},
}


def pull(registry: RunningRegistry, name: str, tag: str = "latest", token: str | None = TOKEN) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.get(f"http://{registry.address}/v2/{name}/manifests/{tag}", headers=headers, timeout=CLIENT_SECONDS)


def said(reply: httpx.Response) -> tuple[int, str, str]:
    error = reply.json()["errors"][0]
    return reply.status_code, error["code"], error["message"]


def builds_of(registry: RunningRegistry) -> list[int]:
    with registry.database.transaction() as session:
        return list(session.execute(text("select id from builds order by id")).scalars())


def rows(registry: RunningRegistry, query: str) -> list[Any]:
    with registry.database.transaction() as session:
        return list(session.execute(text(query)))


def answer(registry: RunningRegistry, build_id: int, lock: str = "a") -> str:
    """Does the work of a builder and a packager; the image's digest."""
    registry.solve(build_id, make_lock(lock))
    registry.complete(build_id)
    digest = registry.make_image(build_id)
    registry.publish()
    return digest


def fail(registry: RunningRegistry, build_id: int, message: str) -> None:
    registry.solve(build_id)
    registry.fail(build_id, message)
    with registry.database.transaction() as session:
        build = builds.load(session, build_id)
        event = builds.event(session, build, BuildFailed, actor="test", reason="unsolvable", message="no")
        outbox.add(session, event, source="builder")
    registry.publish()


@contextmanager
def pulling(registry: RunningRegistry, name: str, tag: str = "latest", **more: Any) -> Iterator[tuple[Any, int]]:
    """A pull under way, and the build that it has started."""
    before = builds_of(registry)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pull, registry, name, tag, **more)
        yield (
            waiting,
            wait_for(lambda: next((each for each in builds_of(registry) if each not in before), None), seconds=60),
        )


def pulled(registry: RunningRegistry, name: str, tag: str = "latest", lock: str = "a", **more: Any) -> tuple[int, str]:
    """The build of a first pull, and the digest that it got."""
    with pulling(registry, name, tag, **more) as (waiting, build_id):
        digest = answer(registry, build_id, lock)
        assert waiting.result(patient(20)).headers["docker-content-digest"] == f"sha256:{digest}"
    return build_id, digest


def set_in_dynamic(registry: RunningRegistry, **values: Any) -> None:
    with registry.database.transaction() as session:
        space = namespaces.ensure(session, "dynamic", actor="test", reserved=True)
        settings.change(session, Place(space.id), values, actor="test")


def age(registry: RunningRegistry, build_id: int, seconds: float) -> None:
    with registry.database.transaction() as session:
        session.execute(
            text("update builds set ended_on = ended_on - make_interval(secs => :seconds) where id = :id"),
            {"seconds": seconds, "id": build_id},
        )


@pytest.fixture
def open_registry(database_url: str, storage_dir: Path) -> Iterator[RunningRegistry]:
    """Anybody may pull what is there; a reader and a writer have tokens."""
    with running_registry(
        database_url, storage_dir, anonymous_bindings=ANONYMOUS_PULLS, service_tokens=PEOPLE
    ) as running:
        yield running


def test_a_pull_by_packages_builds_them_once(registry: RunningRegistry) -> None:
    names = ["dynamic/python.eq.3.11/numpy", "dynamic/numpy/python.eq.3.11", "conda-store-dynamic/numpy/python.eq.3.11"]
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(pull, registry, name) for name in names * 2]
        build_id = wait_for(lambda: found[0] if (found := builds_of(registry)) else None, seconds=60)
        ((spec,),) = rows(registry, "select spec from specifications")
        assert spec["dependencies"] == ["numpy", "python =3.11"]
        digest = answer(registry, build_id)
        replies = [pending.result(patient(20)) for pending in waiting]
    assert {reply.headers.get("docker-content-digest") for reply in replies} == {f"sha256:{digest}"}
    assert builds_of(registry) == [build_id]
    assert pull(registry, names[0]).status_code == 200
    layer = replies[0].json()["layers"][0]["digest"]
    assert registry.admin.get(f"/v2/{names[1]}/blobs/{layer}").status_code == 200
    assert builds_of(registry) == [build_id]
    ((described,),) = rows(registry, "select description from environments")
    assert described.startswith("pulled as ")


def test_what_lists_call_it_is_pulled_too_and_builds_nothing(registry: RunningRegistry) -> None:
    build_id, digest = pulled(registry, "dynamic/numpy")
    listed = registry.admin.get("/v2/_catalog").json()["repositories"]
    (name,) = [each for each in listed if each.startswith("dynamic/")]
    assert name.startswith("dynamic/numpy-")
    assert pull(registry, name, "g1").headers["docker-content-digest"] == f"sha256:{digest}"
    assert pull(registry, "dynamic/other-0123456789ab").status_code == 404
    assert builds_of(registry) == [build_id]


def test_a_failure_is_told_and_not_tried_again_at_once(registry: RunningRegistry) -> None:
    with pulling(registry, "dynamic/nonesuch") as (waiting, build_id):
        fail(registry, build_id, "nonesuch does not exist")
        status, code, message = said(waiting.result(patient(10)))
        assert (status, code) == (404, "MANIFEST_UNKNOWN")
        assert "nonesuch does not exist" in message
    assert pull(registry, "dynamic/nonesuch").status_code == 404
    assert builds_of(registry) == [build_id]
    age(registry, build_id, 31)
    with pulling(registry, "dynamic/nonesuch") as (waiting, second):
        answer(registry, second)
        assert waiting.result(patient(20)).status_code == 200


def test_the_latest_is_solved_again_when_it_is_old(registry: RunningRegistry) -> None:
    first, before = pulled(registry, "dynamic/numpy")
    age(registry, first, 24 * 3600 - 60)
    assert pull(registry, "dynamic/numpy").headers["docker-content-digest"] == f"sha256:{before}"
    age(registry, first, 120)
    second, after = pulled(registry, "dynamic/numpy", lock="b")
    assert after != before
    age(registry, second, 25 * 3600)
    with pulling(registry, "dynamic/numpy") as (waiting, third):
        fail(registry, third, "the channel has lost it")
        assert waiting.result(patient(20)).headers["docker-content-digest"] == f"sha256:{after}", "served as it was"
    assert pull(registry, "dynamic/numpy").status_code == 200
    assert builds_of(registry) == [first, second, third]


def test_each_pull_solves_anew_where_nothing_is_fresh(registry: RunningRegistry) -> None:
    set_in_dynamic(registry, on_demand_fresh_seconds=0)
    first, _ = pulled(registry, "dynamic/numpy")
    second, _ = pulled(registry, "dynamic/numpy", lock="b")
    assert builds_of(registry) == [first, second]


def test_a_day_freezes_the_channels_and_stands_beside_latest(registry: RunningRegistry) -> None:
    today = datetime.now(UTC).date()
    day = (today - timedelta(days=3)).isoformat()
    first, latest = pulled(registry, "dynamic/numpy")
    second, frozen = pulled(registry, "dynamic/numpy", day, lock="b")
    ((kept, options),) = rows(
        registry,
        "select settings, canonical->'options' from builds join specifications on specifications.id = specification_id "
        f"where builds.id = {second}",
    )
    assert (kept["exclude_newer"], options["exclude_newer"]) == (day, day)
    assert pull(registry, "dynamic/numpy").headers["docker-content-digest"] == f"sha256:{latest}"
    age(registry, second, 100 * 24 * 3600)
    assert pull(registry, "dynamic/numpy", day).headers["docker-content-digest"] == f"sha256:{frozen}"
    assert builds_of(registry) == [first, second]
    locks = [make_lock(name).hash for name in "ab"]
    listed = registry.admin.get("/v2/dynamic/numpy/tags/list").json()["tags"]
    assert listed == sorted(["latest", day, *locks])
    for lock, digest in zip(locks, (latest, frozen), strict=True):
        assert pull(registry, "dynamic/numpy", lock).headers["docker-content-digest"] == f"sha256:{digest}"
        assert pull(registry, "dynamic/numpy", lock[:12]).status_code == 200
    # a day that is not over is no last word
    third, _ = pulled(registry, "dynamic/numpy", today.isoformat(), lock="c")
    age(registry, third, 25 * 3600)
    pulled(registry, "dynamic/numpy", today.isoformat(), lock="d")


def test_other_tags_are_unknown_and_say_what_there_is(registry: RunningRegistry) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    for tag, word in (
        ("g1", "has the tags latest"),
        (tomorrow, "in the future"),
        ("2026-02-30", "no day"),
        ("0" * 64, "0000"),
    ):
        status, code, message = said(pull(registry, "dynamic/numpy", tag))
        assert (status, code) == (404, "MANIFEST_UNKNOWN"), tag
        assert word in message
    assert builds_of(registry) == []


def test_shell_and_arm64_reach_the_build(registry: RunningRegistry) -> None:
    with pulling(registry, "dynamic/shell/arm64/numpy") as (waiting, build_id):
        ((spec, kept),) = rows(
            registry,
            "select spec, settings from builds join specifications on specifications.id = builds.specification_id",
        )
        assert spec["dependencies"] == ["numpy", "bash", "coreutils"]
        assert spec["platforms"] == ["linux-aarch64"]
        assert kept["image_command"] == ["bash"]
        registry.solve(build_id, make_lock("a", "linux-aarch64"))
        registry.complete(build_id)
        registry.make_image(build_id)
        registry.publish()
        assert waiting.result(patient(20)).status_code == 200


def test_shell_leaves_out_what_the_channels_do_not_have(registry: RunningRegistry) -> None:
    with registry.database.transaction() as session:
        for statement in (
            "insert into channels (id, url) values (1, 'https://conda.anaconda.org/conda-forge')",
            "insert into channel_syncs (channel_id, part, checked_on) values (1, 'linux-64', now())",
            "insert into package_names (channel_id, name) values (1, 'coreutils')",
        ):
            session.execute(text(statement))
    with pulling(registry, "dynamic/shell/numpy") as (waiting, build_id):
        ((spec, kept),) = rows(
            registry,
            "select spec, settings from builds join specifications on specifications.id = builds.specification_id",
        )
        assert spec["dependencies"] == ["numpy", "coreutils"]
        assert "image_command" not in kept
        answer(registry, build_id)
        assert waiting.result(patient(20)).status_code == 200


def test_settings_choose_channels_and_refuse(registry: RunningRegistry) -> None:
    set_in_dynamic(registry, on_demand_channels=["bioconda", "conda-forge"], conda_allowed_channels=["conda-forge"])
    status, code, message = said(pull(registry, "dynamic/numpy"))
    assert (status, code) == (403, "DENIED")
    assert "the channel bioconda is not allowed" in message
    set_in_dynamic(registry, conda_allowed_channels=None, conda_required_packages=["ipykernel"])
    status, code, message = said(pull(registry, "dynamic/numpy"))
    assert (status, code) == (403, "DENIED")
    assert "ipykernel must be in the dependencies" in message
    set_in_dynamic(registry, conda_required_packages=None, quota_builds=1)
    with pulling(registry, "dynamic/numpy") as (waiting, build_id):
        ((spec,),) = rows(registry, "select spec from specifications")
        assert spec["channels"] == ["bioconda", "conda-forge"]
        answer(registry, build_id)
        assert waiting.result(patient(20)).status_code == 200
    status, code, message = said(pull(registry, "dynamic/pandas"))
    assert (status, code) == (403, "DENIED")
    assert "quota_builds" in message
    assert pull(registry, "dynamic/numpy").status_code == 200
    assert rows(registry, "select count(*) from on_demand_starts") == [(1,)], "what was refused is not counted"


def test_builds_are_limited_by_the_hour_and_what_is_there_is_not(open_registry: RunningRegistry) -> None:
    registry = open_registry
    set_in_dynamic(registry, on_demand_builds_per_hour=2)
    builds = [pulled(registry, f"dynamic/{name}", token=WRITER, lock=name)[0] for name in ("numpy", "pandas")]
    refused = pull(registry, "dynamic/scipy", token=WRITER)
    status, code, message = said(refused)
    assert (status, code) == (429, "TOOMANYREQUESTS")
    assert "2, setting on_demand_builds_per_hour" in message
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert pull(registry, "dynamic/numpy", token=WRITER).status_code == 200
    age(registry, builds[0], 25 * 3600)
    assert pull(registry, "dynamic/numpy", token=WRITER).status_code == 200, "served as it was"
    pulled(registry, "dynamic/scipy", lock="c")  # somebody else's hour
    with registry.database.transaction() as session:
        session.execute(text("update on_demand_starts set at = at - interval '61 minutes'"))
    pulled(registry, "dynamic/sympy", token=WRITER, lock="d")


def test_only_those_who_may_create_environments_start_builds(open_registry: RunningRegistry) -> None:
    registry = open_registry
    refused = pull(registry, "dynamic/numpy", token=None)
    status, code, message = said(refused)
    assert (status, code) == (401, "UNAUTHORIZED")
    assert "a pull without login starts no build here; log in with a token" in message
    assert 'scope="repository:dynamic/numpy:pull"' in refused.headers["www-authenticate"]
    status, code, message = said(pull(registry, "dynamic/numpy", token=READER))
    assert (status, code) == (403, "DENIED")
    assert "may not start builds in the namespace dynamic" in message
    assert builds_of(registry) == []
    _, digest = pulled(registry, "dynamic/numpy", token=WRITER)
    for token in (None, READER):
        assert pull(registry, "dynamic/numpy", token=token).headers["docker-content-digest"] == f"sha256:{digest}"


def test_anonymous_pulls_start_builds_where_a_setting_says_so(open_registry: RunningRegistry) -> None:
    registry = open_registry
    set_in_dynamic(registry, on_demand_anonymous=True, on_demand_builds_per_hour=1)
    pulled(registry, "dynamic/numpy", token=None)
    assert rows(registry, "select subject from on_demand_starts") == [("address:127.0.0.1",)]
    assert said(pull(registry, "dynamic/pandas", token=None))[0] == 429


def test_whoever_may_not_pull_learns_nothing(registry: RunningRegistry) -> None:
    reply = registry.http.get("/v2/dynamic/numpy/manifests/latest")
    assert reply.status_code == 401
    assert builds_of(registry) == []


@pytest.mark.parametrize("name", ["dynamic", "dynamic/python.eq.", "dynamic/numpy/shell", "dynamic/arm64"])
def test_a_wrong_name_is_told(registry: RunningRegistry, name: str) -> None:
    status, code, _ = said(pull(registry, name))
    assert status == 400
    assert code == "NAME_INVALID"
    assert builds_of(registry) == []


def test_what_takes_too_long_is_to_be_asked_for_again(database_url: str, storage_dir: Path) -> None:
    with running_registry(database_url, storage_dir, wait_seconds=0.5) as registry:
        refused = pull(registry, "dynamic/numpy")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert "is not completed yet" in refused.json()["errors"][0]["message"]
        (build_id,) = builds_of(registry)
        digest = answer(registry, build_id)
        assert pull(registry, "dynamic/numpy").status_code == 200
        age(registry, build_id, 25 * 3600)
        slow = pull(registry, "dynamic/numpy")
        assert slow.headers["docker-content-digest"] == f"sha256:{digest}", "what was there serves meanwhile"
        assert len(builds_of(registry)) == 2


def test_the_last_pull_is_known_to_the_hour(registry: RunningRegistry) -> None:
    build_id, digest = pulled(registry, "dynamic/numpy")
    ((found, first),) = rows(registry, "select build_id, last_pulled_on from on_demand_pulls")
    assert found == build_id
    assert pull(registry, "dynamic/numpy").status_code == 200
    assert rows(registry, "select last_pulled_on from on_demand_pulls") == [(first,)], "written once in an hour"
    with registry.database.transaction() as session:
        session.execute(text("update on_demand_pulls set last_pulled_on = last_pulled_on - interval '61 minutes'"))
    assert pull(registry, "dynamic/numpy", f"sha256:{digest}").status_code == 200
    ((second,),) = rows(registry, "select last_pulled_on from on_demand_pulls")
    assert second > first


def test_twins_in_zstd_have_the_same_tags(registry: RunningRegistry) -> None:
    build_id, _ = pulled(registry, "dynamic/numpy")
    query = "select artifact_type, priority from build_artifacts order by id"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pull, registry, "dynamic/numpy", f"{make_lock('a').hash}-zstd")
        asked = wait_for(lambda: found if len(found := rows(registry, query)) > 1 else None, seconds=60)
        assert tuple(asked[-1]) == ("DOCKER_MANIFEST_ZSTD", 10)
        held = registry.claim(build_id, ArtifactType.DOCKER_MANIFEST_ZSTD)
        with registry.database.transaction() as session:
            artifacts.fail(session, held, builds.load(session, build_id), message="no room")
        registry.publish()
        assert "no room" in said(waiting.result(patient(20)))[2]
    assert builds_of(registry) == [build_id]

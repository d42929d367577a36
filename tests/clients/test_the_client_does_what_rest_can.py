"""The typed client against a gateway: the synchronous one does everything, the asynchronous one the same way."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from condarium.client import (
    AsyncClient,
    Client,
    Conflicting,
    NotMade,
    NotThere,
    Refused,
    StillWaiting,
    Wrong,
)
from condarium.domain.artifact import ArtifactType
from tests.fixtures.gateway import TOKEN, RunningGateway
from tests.fixtures.served import make_lock

SPECIFICATION = "name: {}\nchannels: [conda-forge]\ndependencies: [python]\n"


def completed(gateway: RunningGateway, name: str = "first") -> int:
    build_id = gateway.post(name)
    gateway.solve(build_id, make_lock("zlib"))
    gateway.complete(build_id)
    return build_id


@pytest.fixture
def client(gateway: RunningGateway):  # type: ignore[no-untyped-def]  # noqa: ANN201
    with Client(gateway.address, token=TOKEN) as made:
        yield made


def test_environments_and_builds(gateway: RunningGateway, client: Client) -> None:
    first = completed(gateway)
    second = client.submit(SPECIFICATION.format("first"), namespace="default", labels={"git": "abc"})
    build = client.build(second)
    assert (build.status, build.condarium.generation, build.condarium.labels) == ("QUEUED", 2, {"git": "abc"})
    assert build.scheduled_on.tzinfo is UTC
    assert [row.id for row in client.builds(namespace="default", name="first")] == [second, first]
    assert [row.id for row in client.builds(label=["git=abc"])] == [second]
    client.label(second, {"git": "abd", "team": "a"})
    assert client.build(second).condarium.labels == {"git": "abd", "team": "a"}
    client.cancel(second)
    assert client.wait(second).status == "CANCELED"
    client.retry(second)
    with pytest.raises(StillWaiting):
        client.wait(second, seconds=0.1)
    client.describe("default", "first", "what it is for")
    found = list(client.environments(namespace="default"))
    assert [(row.name, row.description, row.current_build_id) for row in found] == [("first", "what it is for", first)]
    client.activate("default", "first", first)
    assert [row.name for row in client.packages(first)] == ["zlib"]
    assert client.rebuild(first) > second
    client.delete_build(first)
    assert client.environment("default", "first").current_build_id != first
    client.delete_environment("default", "first")
    with pytest.raises(NotThere):
        client.environment("default", "first")
    with pytest.raises(Wrong, match="chanels"):
        client.submit("name: a\nchanels: [b]\ndependencies: [c]\n")


def test_lists_beyond_a_page(gateway: RunningGateway, client: Client) -> None:
    numbers = [gateway.submit(f"many-{number:03}").build_id for number in range(205)]
    assert [row.id for row in client.builds()] == sorted(numbers, reverse=True)
    names = [row.name for row in client.environments()]
    assert names == sorted(names)
    assert len(names) == 205


def test_artifacts(gateway: RunningGateway, client: Client, tmp_path: Path) -> None:
    build_id = completed(gateway)
    with pytest.raises(StillWaiting):
        client.wait_artifact(build_id, "LOCKFILE", seconds=0.1)
    gateway.make(build_id, ArtifactType.LOCKFILE, b'{"version": 1}')
    assert client.lockfile(build_id) == '{"version": 1}'
    made = client.wait_artifact(build_id, "LOCKFILE")
    assert made.digest == hashlib.sha256(b'{"version": 1}').hexdigest()
    target = tmp_path / "lock.json"
    assert client.save(f"build/{build_id}/lockfile/", target, digest=made.digest) == 14
    assert target.read_bytes() == b'{"version": 1}'
    digest = gateway.make_image(build_id)
    image = client.image(build_id)
    assert image.pinned == f"registry.example:5000/default/first@sha256:{digest}"
    assert client.build(build_id).artifact("DOCKER_MANIFEST") is not None
    other = completed(gateway, "second")
    client.request_artifact(other, "DOCKER_MANIFEST")
    gateway.fail_image(other, "no room")
    with pytest.raises(NotMade, match="no room"):
        client.image(other)


def test_streams(gateway: RunningGateway, client: Client) -> None:
    build_id = completed(gateway)
    gateway.publish()
    found = [message.event for message in client.follow(build_id)]
    assert found[-1] == "end"
    events = []
    for message in client.events(after=0, build=build_id):
        events.append(message.event)
        if message.event == "live":
            break
    assert events[0].startswith("build.queued")
    assert any(name.startswith("environment.") for name in events)
    first = next(client.build_events(build_id))
    assert first.event.startswith("build.queued")


def test_namespaces_and_roles(client: Client) -> None:
    client.create_namespace("team")
    client.create_namespace("guests")
    with pytest.raises(Conflicting):
        client.create_namespace("team")
    assert {row.name for row in client.namespaces()} >= {"team", "guests"}
    client.update_namespace("team", metadata={"cost": 7}, role_mappings={"team/*": ["viewer"]})
    shown = client.namespace("team")
    assert shown.metadata_ == {"cost": 7}
    assert [(row.entity, row.role) for row in shown.role_mappings] == [("team/*", "viewer")]
    client.give_role("team", "guests", "viewer")
    client.change_role("team", "guests", "admin")
    assert client.role("team", "guests").role == "admin"
    assert [row.other_namespace for row in client.roles("team")] == ["guests"]
    client.take_role("team", "guests")
    client.take_roles("team")
    assert client.roles("team") == []
    client.delete_namespace("guests")
    with pytest.raises(NotThere):
        client.namespace("guests")


def test_tokens_and_logins(gateway: RunningGateway, client: Client) -> None:
    until = datetime.now(UTC) + timedelta(days=2)
    made = client.create_token(name="ci", expires_on=until, role_bindings={"default/*": ["viewer"]})
    assert abs(made.condarium.expires_on - until) < timedelta(seconds=2)
    with Client(gateway.address, token=made.token) as narrow:
        permission = narrow.permission()
        assert permission.authenticated
        assert permission.expiration is not None
        assert permission.to_json()["expiration"].endswith("Z")
        with pytest.raises(Refused, match="whoami"):
            narrow.submit(SPECIFICATION.format("x"), namespace="default")
    row = next(row for row in client.tokens() if row.id == made.condarium.id)
    assert (row.name, row.state) == ("ci", "good")
    assert "revoked" in client.revoke_token(row.id)
    with Client(gateway.address, token=made.token) as ended:
        assert not ended.permission().authenticated
    with Client(gateway.address) as person:
        person.log_in("admin", TOKEN)
        assert person.permission().authenticated
        person.log_out()
        assert not person.permission().authenticated
        with pytest.raises(Refused):
            person.log_in("admin", "wrong")
    assert list(client.users()) == []


def test_settings_usage_credentials_audit(gateway: RunningGateway, client: Client) -> None:
    client.create_namespace("team")
    client.change_settings({"conda_default_channels": ["bioconda"]}, "team")
    assert client.settings("team")["conda_default_channels"] == ["bioconda"]
    origin = next(row for row in client.setting_origins("team") if row.key == "conda_default_channels")
    assert origin.level == "namespace"
    client.change_settings({"conda_default_channels": None}, "team")
    history = list(client.setting_history("team"))
    assert [(row.before, row.after) for row in history] == [(["bioconda"], None), (None, ["bioconda"])]
    assert history[0].to_json()["from"] == ["bioconda"]
    with pytest.raises(Wrong, match="no-such-key"):
        client.change_settings({"no-such-key": 1})
    client.change_quota("team", {"builds": 5})
    assert client.quota("team").builds == 5
    completed(gateway)
    assert client.usage()["default"].num_builds == 1
    made = client.put_credential("ours", kind="bearer", url="https://a.example/c", namespace="team", token="t0p")
    assert (made.namespace, made.use) == ("team", "channel")
    client.put_credential("all", kind="basic", url="https://b.example/", username="u", password="p")
    assert {row.name for row in client.credentials()} == {"ours", "all"}
    assert [row.name for row in client.credentials("team")] == ["ours"]
    assert "t0p" not in str([row.to_json() for row in client.credentials()])
    client.delete_credential("ours", namespace="team")
    client.delete_credential("all")
    assert client.credentials() == []
    rows = list(client.audit(namespace="team"))
    assert {row.outcome for row in rows} == {"done"}
    assert [row.id for row in client.export_audit(namespace="team")] == [row.id for row in rows]
    assert list(client.audit(since=datetime.now(UTC) + timedelta(days=1))) == []


def test_what_is_only_read(client: Client) -> None:
    assert client.version().condarium.version
    assert client.readiness().status in ("ready", "not-ready")
    assert list(client.channels()) == []
    assert list(client.search_packages("numpy", distinct_on=["name"])) == []
    assert list(client.package_records("numpy")) == []


def test_the_async_client_does_the_same(gateway: RunningGateway) -> None:
    build_id = completed(gateway)

    async def go() -> list[object]:
        async with AsyncClient(gateway.address, token=TOKEN) as one:
            environments = [row.name async for row in one.environments()]
            build = await one.build(build_id)
            found = [message.event async for message in one.follow(build_id)]
            made = await one.create_token(name="a")
            with pytest.raises(NotThere):
                await one.environment("default", "none")
            return [environments, build.status, found[-1], await one.revoke_token(made.condarium.id)]

    assert asyncio.run(go())[:3] == [["first"], "COMPLETED", "end"]

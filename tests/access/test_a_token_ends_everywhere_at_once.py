"""Tokens are listed, revoked, and never worth more than what their owner has now: on every gateway and the registry."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy

from condarium.database import tokens, users
from condarium.database.tables import Token, User
from condarium.http import authenticator
from services.api.tokens import claims_of
from tests.fixtures.gateway import RunningGateway, running_gateway
from tests.fixtures.patience import patient, wait_for, within
from tests.fixtures.registry import running_registry
from tests.fixtures.roles import in_force
from tests.fixtures.served import make_lock

#: what is promised
AT_MOST_SECONDS = 1.0
AUTH = "conda-store-auth"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def mint(gateway: RunningGateway, token: str | None = None, **body: Any) -> tuple[str, int]:
    headers = bearer(token) if token else dict(gateway.admin.headers)
    reply = gateway.http.post("/api/v1/token/", json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    data = reply.json()["data"]
    return str(data["token"]), int(data["condarium"]["id"])


def stands(http: httpx.Client, token: str) -> bool:
    return bool(http.get("/api/v1/permission/", headers=bearer(token)).json()["data"]["authenticated"])


def roles(gateway: RunningGateway, token: str) -> dict[str, Any]:
    found = gateway.http.get("/api/v1/permission/", headers=bearer(token)).json()["data"]
    return dict(found["entity_roles"])


def rows(gateway: RunningGateway, token: str | None = None, **query: Any) -> list[dict[str, Any]]:
    headers = bearer(token) if token else dict(gateway.admin.headers)
    reply = gateway.http.get("/api/v1/token/", params=query, headers=headers)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["data"])


def until(look: Callable[[], bool], seconds: float = AT_MOST_SECONDS) -> None:
    in_force(look, seconds)


@contextmanager
def logged_in(gateway: RunningGateway, name: str) -> Iterator[str]:
    """A login by the development login, as the text in its cookie."""
    reply = httpx.post(f"{gateway.address}/login/", json={"username": name, "password": "gateway-test-token"})
    assert reply.status_code == 200, reply.text
    yield reply.cookies[AUTH]


@pytest.fixture
def developed(database_url: str, storage_dir: Path) -> Iterator[RunningGateway]:
    with running_gateway(database_url, storage_dir, login={"CONDARIUM_DEVELOPMENT_LOGIN": "true"}) as running:
        yield running


def test_a_revoked_token_is_nothing_anywhere_within_a_second(
    database_url: str, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By the notification, in 6 ms here: what is believed for a while is for when that gets lost.
    monkeypatch.setattr(authenticator, "BELIEVED_SECONDS", 3600.0)
    with ExitStack() as stack:
        here = stack.enter_context(running_gateway(database_url, storage_dir))
        there = stack.enter_context(running_gateway(database_url, storage_dir))
        registry = stack.enter_context(running_registry(database_url, storage_dir, secret="s3cret"))
        build = registry.submit("first", namespace="team").build_id
        registry.solve(build, make_lock("zlib"))
        registry.complete(build)
        registry.make_image(build)

        def pulls(credential: str) -> bool:
            reply = registry.http.get("/v2/team/first/tags/list", headers=bearer(credential))
            return reply.status_code == 200

        for _ in range(5):
            token, token_id = mint(here, role_bindings={"team/*": ["viewer"]})
            login = registry.http.get("/v2/token", auth=("anybody", token))
            assert login.status_code == 200
            dockers = login.json()["token"]
            assert stands(here.http, token)
            assert stands(there.http, token)
            assert pulls(dockers)
            assert pulls(token)
            reply = here.admin.delete(f"/api/v1/token/{token_id}/")
            assert reply.json() == {"status": "ok", "message": f"token {token_id} revoked"}
            # The one that was asked knows before it answers.
            assert not stands(here.http, token)
            until(lambda: not stands(there.http, token))  # noqa: B023
            until(lambda: not (pulls(dockers) or pulls(token)))  # noqa: B023
            assert registry.http.get("/v2/token", auth=("anybody", token)).status_code == 401


def test_a_process_that_hears_no_notification_believes_a_token_for_a_second_at_most(gateway: RunningGateway) -> None:
    token, token_id = mint(gateway)
    assert stands(gateway.http, token)
    # As if the connection that listens had gone: the row changes without a word.
    with gateway.database.transaction() as session:
        session.execute(sqlalchemy.update(Token).where(Token.id == token_id).values(revoked_on=sqlalchemy.func.now()))
    until(lambda: not stands(gateway.http, token), AT_MOST_SECONDS + 0.3)


def test_what_was_made_with_a_token_ends_with_it(gateway: RunningGateway) -> None:
    first, first_id = mint(gateway, role_bindings={"team/*": ["admin"]})
    second, _ = mint(gateway, first, role_bindings={"team/*": ["viewer"]})
    third, _ = mint(gateway, second)
    other, _ = mint(gateway)
    reply = gateway.admin.delete(f"/api/v1/token/{first_id}/")
    assert reply.json()["message"] == f"token {first_id} revoked, and 2 made with it"
    assert [stands(gateway.http, each) for each in (first, second, third, other)] == [False, False, False, True]
    again = gateway.admin.delete(f"/api/v1/token/{first_id}/")
    assert (again.status_code, again.json()["message"]) == (200, f"token {first_id} had ended before")


def test_a_token_that_is_believed_a_moment_too_long_makes_none_that_last(gateway: RunningGateway) -> None:
    token, token_id = mint(gateway)
    assert stands(gateway.http, token)
    with gateway.database.transaction() as session:
        session.execute(sqlalchemy.update(Token).where(Token.id == token_id).values(revoked_on=sqlalchemy.func.now()))
    assert gateway.http.post("/api/v1/token/", headers=bearer(token)).status_code == 403
    assert gateway.http.post("/login/", json={"username": "x", "password": token}).status_code == 403
    assert len(rows(gateway)) == 1


def test_what_is_being_made_with_a_token_while_it_ends_ends_too(gateway: RunningGateway) -> None:
    _, parent_id = mint(gateway)
    expires_on = datetime.now(UTC) + timedelta(hours=1)
    with ThreadPoolExecutor(1) as pool:
        with gateway.database.transaction() as session:
            parent = tokens.hold(session, parent_id)
            wanted = tokens.Wanted(parent.owner, "default", {}, expires_on, parent_id=parent.id)
            child_id = tokens.create(session, wanted, actor=parent.owner).id
            revoked = pool.submit(gateway.admin.delete, f"/api/v1/token/{parent_id}/")
            wait_for(lambda: waits_for_a_row(gateway))
        assert revoked.result(patient(10)).json()["message"] == f"token {parent_id} revoked, and 1 made with it"
    assert {row["id"]: row["state"] for row in rows(gateway)} == {parent_id: "revoked", child_id: "revoked"}


def waits_for_a_row(gateway: RunningGateway) -> bool:
    query = sqlalchemy.text("select count(*) from pg_locks where not granted and locktype = 'transactionid'")
    with gateway.database.transaction() as session:
        return bool(session.execute(query).scalar_one())


def test_a_list_tells_all_but_the_text(developed: RunningGateway) -> None:
    token, token_id = mint(developed, name="ci of the lab", role_bindings={"team/*": ["editor"]})
    (row,) = rows(developed, kind="token")
    assert {name: row[name] for name in ("id", "name", "kind", "owner", "state", "current")} == {
        "id": token_id,
        "name": "ci of the lab",
        "kind": "token",
        "owner": "admin",
        "state": "good",
        "current": False,
    }
    assert row["role_bindings"] == {"team/*": ["developer"]}
    assert token not in developed.admin.get("/api/v1/token/").text
    assert rows(developed, token)[0]["current"] is True
    developed.admin.delete(f"/api/v1/token/{token_id}/")
    (row,) = rows(developed, kind="token")
    assert (row["state"], row["revoked_by"]) == ("revoked", "admin")
    assert row["revoked_on"]


def test_everybody_sees_and_ends_their_own_and_administrators_all(developed: RunningGateway) -> None:
    with logged_in(developed, "alice") as alice, logged_in(developed, "bob") as bob:
        token, token_id = mint(developed, alice, name="alice's")
        assert [row["name"] for row in rows(developed, alice, kind="token")] == ["alice's"]
        assert rows(developed, bob, kind="token") == []
        for query in ({"owner": "alice"}, {"owner": "*"}):
            assert developed.http.get("/api/v1/token/", params=query, headers=bearer(bob)).status_code == 403
        assert [row["name"] for row in rows(developed, owner="alice", kind="token")] == ["alice's"]
        assert {row["owner"] for row in rows(developed, owner="*")} == {"alice", "bob"}
        refused = developed.http.delete(f"/api/v1/token/{token_id}/", headers=bearer(bob))
        assert (refused.status_code, refused.json()["message"]) == (403, "request not authorized")
        assert stands(developed.http, token)
        assert developed.http.delete(f"/api/v1/token/{token_id}/", headers=bearer(alice)).status_code == 200
        assert not stands(developed.http, token)
    assert developed.http.get("/api/v1/token/").status_code == 403
    assert developed.http.delete("/api/v1/token/1/").status_code == 403
    assert developed.admin.delete("/api/v1/token/4711/").status_code == 404
    assert developed.admin.delete("/api/v1/token/x/").status_code == 422


def test_a_token_of_less_knows_only_itself_and_what_it_made(developed: RunningGateway) -> None:
    """Whoever finds the token of a build server must not end its owner's other ones."""
    with logged_in(developed, "alice") as alice:
        narrow, narrow_id = mint(developed, alice, role_bindings={"alice/*": ["viewer"]}, name="narrow")
        _, other_id = mint(developed, alice, name="other")
        _, made_id = mint(developed, narrow, name="made")
        assert {row["name"] for row in rows(developed, narrow)} == {"narrow", "made"}
        assert developed.http.delete(f"/api/v1/token/{other_id}/", headers=bearer(narrow)).status_code == 403
        for token_id in (made_id, narrow_id):
            assert developed.http.delete(f"/api/v1/token/{token_id}/", headers=bearer(narrow)).status_code == 200


def test_a_token_is_worth_no_more_than_its_owner_now(gateway: RunningGateway) -> None:
    """The owner's rights shrink after the token was made; what is no longer covered is void."""
    with gateway.database.transaction() as session:
        identity = users.Identity(
            "https://idp.example", "1", "alice", "alice", {"team/*": ["admin"], "x/*": ["viewer"]}
        )
        user = users.log_in(session, identity)
        user_id = user.id
        row = tokens.create(
            session,
            tokens.Wanted(
                "alice",
                "alice",
                {"team/*": ["developer"], "x/*": ["viewer"]},
                datetime.now(UTC) + timedelta(hours=1),
                user_id=user_id,
            ),
            actor="alice",
        )
        token = gateway.gateway.held_tokens.key.sign(claims_of(row))
    public = {"default/*": ["viewer"]}
    assert roles(gateway, token) == public | {"team/*": ["developer"], "x/*": ["viewer"]}
    with gateway.database.transaction() as session:
        users.log_in(session, replace(identity, role_bindings={"team/*": ["viewer"], "x/*": ["viewer"]}))
    until(lambda: roles(gateway, token) == public | {"x/*": ["viewer"]})
    with gateway.database.transaction() as session:
        users.disable(session, session.get_one(User, user_id))
    until(lambda: not stands(gateway.http, token))
    with gateway.database.transaction() as session, pytest.raises(Exception, match="disabled"):
        users.log_in(session, identity)


def test_what_a_namespace_gave_ends_in_tokens_too(developed: RunningGateway) -> None:
    """A role of another namespace carries into a token of all that one has, and out of it when it is taken back."""
    admin = developed.admin
    for name in ("team", "alice"):
        assert admin.post(f"/api/v1/namespace/{name}/").status_code == 200
    assert admin.post("/api/v1/namespace/team/role", json={"other_namespace": "alice", "role": "developer"}).is_success
    with logged_in(developed, "alice") as alice:
        token, _ = mint(developed, alice, role_bindings={"team/*": ["developer"]})
        assert roles(developed, token)["team/*"] == ["developer"]
        gone = admin.request("DELETE", "/api/v1/namespace/team/role", json={"other_namespace": "alice"})
        assert gone.is_success
        until(lambda: "team/*" not in roles(developed, token))


def test_the_last_use_is_written_once_a_minute_and_aside(gateway: RunningGateway) -> None:
    token, token_id = mint(gateway)
    statements: list[str] = []
    engine = gateway.gateway.database._engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

    def last_use() -> Any:
        return next(row["last_used_on"] for row in rows(gateway) if row["id"] == token_id)

    assert last_use() is None
    with within(10) as watch:
        for _ in range(30):
            assert stands(gateway.http, token)
    gateway.gateway.held_tokens.write()
    first = last_use()
    assert first is not None
    time.sleep(1.05)
    stands(gateway.http, token)
    gateway.gateway.held_tokens.write()
    assert last_use() == first
    with gateway.database.transaction() as session:
        session.execute(sqlalchemy.text("update tokens set last_used_on = last_used_on - interval '61 seconds'"))
    time.sleep(1.05)
    stands(gateway.http, token)
    gateway.gateway.held_tokens.write()
    assert last_use() > first
    looks = [each for each in statements if "FROM tokens" in each and "tokens.identity =" in each]
    # One look a second at most, however often the token is shown.
    assert len(looks) <= 3 + int(watch.seconds)

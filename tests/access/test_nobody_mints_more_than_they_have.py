"""POST /token/: a token carries what its maker has or less, for as long as its maker has it or less."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.fixtures.gateway import RunningGateway

SUBSET = "Requested role_bindings are not a subset of current permissions"
LATER = "Requested expiration of token is greater than current permissions"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def mint(gateway: RunningGateway, token: str | None = None, **body: Any) -> str:
    """A token made by the administrator, or by the holder of `token`."""
    reply = ask(gateway, token, **body)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["data"]["token"])


def ask(gateway: RunningGateway, token: str | None = None, **body: Any) -> httpx.Response:
    headers = bearer(token) if token else dict(gateway.admin.headers)
    return gateway.http.post("/api/v1/token/", json=body, headers=headers)


def refused(reply: httpx.Response) -> str:
    assert reply.status_code == 400, reply.text
    return str(reply.json()["message"])


def unsigned(token: str) -> dict[str, Any]:
    """What a client reads without the key."""
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def test_a_token_has_the_claims_that_clients_read(quiet_gateway: RunningGateway) -> None:
    found = unsigned(mint(quiet_gateway, role_bindings={"team/*": ["editor"]}, name="ci"))
    assert found["primary_namespace"] == "default"
    assert found["role_bindings"] == {"team/*": ["developer"]}
    assert found["sub"] == "admin"
    assert found["jti"]
    assert 0 < 86_400 - (found["exp"] - datetime.now(UTC).timestamp()) < 60


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b'{"exp": null, "role_bindings": null, "primary_namespace": null}']
)
def test_the_body_may_be_left_out(quiet_gateway: RunningGateway, content: bytes | None) -> None:
    reply = quiet_gateway.admin.post("/api/v1/token/", content=content)
    assert reply.status_code == 200
    token = reply.json()["data"]["token"]
    shown = quiet_gateway.http.get("/api/v1/permission/", headers=bearer(token)).json()["data"]
    assert shown["entity_roles"]["*/*"] == ["admin"]


@pytest.mark.parametrize("name", ["expiration", "exp"])
@pytest.mark.parametrize("form", ["aware", "naive", "text", "offset"])
def test_an_expiration_is_taken_in_every_form(quiet_gateway: RunningGateway, name: str, form: str) -> None:
    end = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    text = {
        "aware": end.isoformat(),
        "naive": end.replace(tzinfo=None).isoformat(),
        "text": str(end),
        "offset": (end + timedelta(hours=5)).replace(tzinfo=None).isoformat() + "+05:00",
    }[form]
    assert unsigned(mint(quiet_gateway, **{name: text}))["exp"] == end.timestamp()


def test_anonymous_mints_nothing(quiet_gateway: RunningGateway) -> None:
    for body in ({}, {"role_bindings": {"default/*": ["viewer"]}}):
        reply = quiet_gateway.http.post("/api/v1/token/", json=body)
        assert (reply.status_code, reply.json()["message"]) == (403, "request not authorized")
    stale = quiet_gateway.http.post("/api/v1/token/", headers=bearer("no.such.token"))
    assert stale.status_code == 403


@pytest.mark.parametrize(
    ("mine", "asked"),
    [
        ({"team/*": ["developer"]}, {"team/*": ["admin"]}),
        ({"team/*": ["developer"]}, {"*/*": ["viewer"]}),
        ({"team/*": ["developer"]}, {"other/*": ["viewer"]}),
        ({"team/*": ["admin"]}, {"team*/*": ["viewer"]}),
        ({"team/ml-*": ["admin"]}, {"team/*": ["viewer"]}),
        ({"team/ml-*": ["admin"]}, {"team/ml-*": ["admin"], "team/x": ["viewer"]}),
        ({}, {"team/x": ["viewer"]}),
    ],
)
def test_more_than_one_has_is_refused(
    quiet_gateway: RunningGateway, mine: dict[str, list[str]], asked: dict[str, list[str]]
) -> None:
    holder = mint(quiet_gateway, role_bindings=mine)
    assert refused(ask(quiet_gateway, holder, role_bindings=asked)) == SUBSET


@pytest.mark.parametrize(
    ("mine", "asked"),
    [
        ({"team/*": ["admin"]}, {"team/*": ["developer"]}),
        ({"team/*": ["developer"]}, {"team/ml-*": ["editor"], "team/x": ["viewer"]}),
        ({"team*/*": ["viewer"]}, {"team-1/*": ["viewer"]}),
        # What is open to everybody is everybody's to give.
        ({"team/*": ["viewer"]}, {"default/*": ["viewer"]}),
    ],
)
def test_less_than_one_has_is_given(
    quiet_gateway: RunningGateway, mine: dict[str, list[str]], asked: dict[str, list[str]]
) -> None:
    mint(quiet_gateway, mint(quiet_gateway, role_bindings=mine), role_bindings=asked)


def test_a_token_ends_no_later_than_what_it_was_made_with(quiet_gateway: RunningGateway) -> None:
    end = datetime.now(UTC) + timedelta(minutes=10)
    holder = mint(quiet_gateway, expiration=end.isoformat())
    assert refused(ask(quiet_gateway, holder, expiration=(end + timedelta(seconds=2)).isoformat())) == LATER
    assert unsigned(mint(quiet_gateway, holder))["exp"] <= end.timestamp()
    mint(quiet_gateway, holder, expiration=(end - timedelta(minutes=1)).isoformat())


def test_a_life_is_bounded_by_a_setting_and_by_now(quiet_gateway: RunningGateway) -> None:
    far = (datetime.now(UTC) + timedelta(days=366)).isoformat()
    assert "CONDARIUM_TOKEN_MAX_SECONDS" in refused(ask(quiet_gateway, expiration=far))
    assert "in the past" in refused(ask(quiet_gateway, expiration="2001-01-01T00:00:00"))


def test_only_an_administrator_names_another_primary_namespace(quiet_gateway: RunningGateway) -> None:
    """Roles are given to the members of a namespace: whoever could choose theirs would choose their roles."""
    token = mint(quiet_gateway, primary_namespace="team", role_bindings={"other/*": ["admin"]})
    assert unsigned(token)["primary_namespace"] == "team"
    assert "your own" in refused(ask(quiet_gateway, token, primary_namespace="other", role_bindings={}))
    assert unsigned(mint(quiet_gateway, token, primary_namespace="team"))["primary_namespace"] == "team"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role_bindings": {"team": ["viewer"]}}, 400),
        ({"role_bindings": {"team/*": ["king"]}}, 400),
        ({"role_bindings": {"a/b/c": ["viewer"]}}, 400),
        ({"role_bindings": {"team/*": "viewer"}}, 422),
        ({"role_bindings": ["team/*"]}, 422),
        ({"role_bindings": {"\0/*": ["viewer"]}}, 422),
        ({"expiration": "tomorrow"}, 422),
        ({"expiration": "9999-12-31T23:59:59-12:00"}, 422),
        ({"expiration": 1e40}, 422),
        ({"primary_namespace": "a/b"}, 400),
        ({"primary_namespace": 7}, 422),
        ({"name": "x" * 101}, 422),
        ([], 422),
    ],
)
def test_a_wrong_request_is_named(quiet_gateway: RunningGateway, body: Any, status: int) -> None:
    reply = quiet_gateway.admin.post("/api/v1/token/", json=body)
    assert reply.status_code == status, reply.text


def test_what_conda_stores_own_client_sends_is_taken(quiet_gateway: RunningGateway) -> None:
    """It sends back what /permission/ told it, with `exp` as text or null."""
    holder = mint(quiet_gateway, role_bindings={"team/*": ["developer"]})
    for headers in (bearer(holder), dict(quiet_gateway.admin.headers)):
        shown = quiet_gateway.http.get("/api/v1/permission/", headers=headers).json()["data"]
        body = {
            "primary_namespace": shown["primary_namespace"],
            "role_bindings": shown["entity_roles"],
            "exp": shown["expiration"],
        }
        reply = quiet_gateway.http.post("/api/v1/token/", json=body, headers=headers)
        assert reply.status_code == 200, (body, reply.text)

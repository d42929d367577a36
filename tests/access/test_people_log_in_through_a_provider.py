"""OpenID Connect against a real provider: PKCE, nonce and state; claims become bindings; faults are pages."""

import json
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptojwt import JWT
from starlette.responses import JSONResponse, Response

from services.api.login import callback
from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway
from tests.fixtures.patience import CLIENT_SECONDS
from tests.fixtures.provider import CLIENT_ID, CLIENT_SECRET, RunningProvider
from tests.fixtures.roles import in_force

AUTH = "conda-store-auth"
BINDINGS = {
    "groups": {"staff": {"team/*": ["viewer"]}, "data-*": {"{value}/*": ["editor"], "{username}-lab/*": ["admin"]}},
    "email": {"*@example.org": {"inside/*": ["viewer"]}},
}


def variables(provider: RunningProvider, **more: str) -> dict[str, str]:
    values = {
        "LOGIN_PROVIDER": "oidc",
        "LOGIN_ISSUER": provider.issuer,
        "LOGIN_CLIENT_ID": CLIENT_ID,
        "LOGIN_CLIENT_SECRET": CLIENT_SECRET,
        "LOGIN_SCOPES": "openid,profile,email,groups",
        "LOGIN_BINDINGS": json.dumps(BINDINGS),
        **more,
    }
    return {f"CONDARIUM_{name}": value for name, value in values.items()}


@pytest.fixture(scope="module")
def shared_site(
    postgres_server: Any, migrated_template: str, provider: RunningProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    from tests.fixtures.infrastructure import _database

    storage = tmp_path_factory.mktemp("storage")
    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_gateway(url, storage, login=variables(provider), external_url="{address}") as running:
            yield running


@pytest.fixture
def site(shared_site: RunningGateway, provider: RunningProvider) -> RunningGateway:
    """With a provider as it was at the start; who has logged in stays known here."""
    provider.reset()
    provider.allow(f"{shared_site.address}/oauth_callback/")
    return shared_site


@pytest.fixture
def fresh(database_url: str, storage_dir: Path, provider: RunningProvider) -> Iterator[RunningGateway]:
    """Where nobody has ever logged in."""
    provider.reset()
    with running_gateway(database_url, storage_dir, login=variables(provider), external_url="{address}") as running:
        provider.allow(f"{running.address}/oauth_callback/")
        yield running


def set_out(site: RunningGateway, path: str = "/login/") -> httpx.Response:
    """The first step: to the provider."""
    reply = httpx.get(f"{site.address}{path}", timeout=CLIENT_SECONDS)
    assert reply.status_code == 302, reply.text
    return reply


def journey(site: RunningGateway, path: str = "/login/") -> httpx.Response:
    """All of it, as a browser goes; the reply of the callback."""
    begun = set_out(site, path)
    back = httpx.get(begun.headers["location"], timeout=CLIENT_SECONDS)
    assert back.status_code == 302, back.text
    return httpx.get(back.headers["location"], cookies=begun.cookies, timeout=CLIENT_SECONDS)


def who(site: RunningGateway, reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    found = httpx.get(f"{site.address}/api/v1/permission/", headers={"Cookie": f"{AUTH}={reply.cookies[AUTH]}"})
    return dict(found.json()["data"])


def test_somebody_logs_in_and_has_what_the_claims_give(fresh: RunningGateway) -> None:
    reply = journey(fresh, "/login/?next=/ui/default/first")
    found = who(fresh, reply)
    assert found["primary_namespace"] == "alice"
    assert found["entity_roles"] == {
        "alice/*": ["admin"],
        "alice-lab/*": ["admin"],
        "data-lab/*": ["developer"],
        "default/*": ["viewer"],
        "inside/*": ["viewer"],
        "team/*": ["viewer"],
    }
    # A page of ours goes on: what a redirect leads to from the provider would not see a strict cookie.
    assert '<meta http-equiv="refresh" content="0;url=/ui/default/first">' in reply.text
    cookies = {each.split("=")[0]: each for each in reply.headers.get_list("set-cookie")}
    assert cookies[AUTH].endswith("; HttpOnly; Max-Age=86399; Path=/; SameSite=strict")
    assert "Max-Age=0" in cookies[callback.COOKIE]
    rows = fresh.admin.get("/api/v1/token/", params={"owner": "alice"}).json()["data"]
    assert [(row["kind"], row["state"]) for row in rows] == [("session", "good")]
    logins = fresh.admin.get("/api/v1/audit/", params={"action": "login"}).json()["data"]
    assert [row["principal"] for row in logins] == ["alice"]


def test_the_way_there_has_pkce_nonce_state_and_its_own_cookie(site: RunningGateway, provider: RunningProvider) -> None:
    first, second = set_out(site), set_out(site)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(first.headers["location"]).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{site.address}/oauth_callback/"
    assert set(asked["scope"].split()) == {"openid", "profile", "email", "groups"}
    again = {name: values[0] for name, values in parse_qs(urlsplit(second.headers["location"]).query).items()}
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 20
        assert asked[name] != again[name]
    kept = SimpleCookie(first.headers["set-cookie"])[callback.COOKIE]
    assert (kept["samesite"], kept["httponly"], kept["max-age"]) == ("lax", True, "600")
    journey(site)
    sent = next(asked for name, asked in provider.requests if name == "token")
    assert len(sent["code_verifier"]) >= 43
    assert "client_secret" not in sent


def test_under_the_prefix_the_provider_sends_back_under_it(site: RunningGateway, provider: RunningProvider) -> None:
    provider.allow(f"{site.address}/conda-store/oauth_callback/")
    reply = journey(site, "/conda-store/login/")
    assert who(site, reply)["authenticated"]
    assert 'content="0;url=/conda-store/"' in reply.text


def test_who_fits_nothing_has_their_own_namespace_and_what_is_public(
    site: RunningGateway, provider: RunningProvider
) -> None:
    provider.who = "mallory"
    assert who(site, journey(site))["entity_roles"] == {"default/*": ["viewer"], "mallory/*": ["admin"]}


@pytest.mark.parametrize(
    "change",
    [
        lambda query, cookies: (query | {"state": "another"}, cookies),
        lambda query, cookies: ({"code": query["code"]}, cookies),
        lambda query, cookies: (query, {}),
        lambda query, cookies: (query, {callback.COOKIE: "made-up"}),
        lambda query, cookies: (query, {callback.COOKIE: cookies[callback.COOKIE][:-2] + "xx"}),
        lambda query, cookies: ({}, {}),
    ],
)
def test_a_state_that_is_not_this_browsers_is_401(site: RunningGateway, change: Any) -> None:
    begun = set_out(site)
    back = httpx.get(begun.headers["location"])
    query = {name: values[0] for name, values in parse_qs(urlsplit(back.headers["location"]).query).items()}
    query, cookies = change(query, dict(begun.cookies))
    reply = httpx.get(f"{site.address}/oauth_callback/", params=query, cookies=cookies)
    assert reply.status_code == 401
    assert "begin again" in reply.text
    assert AUTH not in reply.cookies


def test_somebody_elses_journey_cannot_be_ended_here(site: RunningGateway) -> None:
    """The attacker's code and state with the victim's own cookie."""
    attackers, victims = set_out(site), set_out(site)
    back = httpx.get(attackers.headers["location"])
    reply = httpx.get(back.headers["location"], cookies=victims.cookies)
    assert reply.status_code == 401


def test_a_journey_of_more_than_ten_minutes_is_401(site: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = set_out(site)
    back = httpx.get(begun.headers["location"])
    monkeypatch.setattr(callback, "JOURNEY_SECONDS", -1)
    assert httpx.get(back.headers["location"], cookies=begun.cookies).status_code == 401


def test_a_code_is_good_once(site: RunningGateway) -> None:
    begun = set_out(site)
    back = httpx.get(begun.headers["location"])
    assert httpx.get(back.headers["location"], cookies=begun.cookies).status_code == 200
    again = httpx.get(back.headers["location"], cookies=begun.cookies)
    assert again.status_code in (401, 403)
    assert AUTH not in again.cookies


def test_what_the_provider_refuses_is_said_in_its_words(site: RunningGateway) -> None:
    begun = set_out(site)
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    query = {"error": "access_denied", "error_description": "<b>not you</b>", "state": state}
    reply = httpx.get(f"{site.address}/oauth_callback/", params=query, cookies=begun.cookies)
    assert reply.status_code == 403
    assert "&lt;b&gt;not you&lt;/b&gt;" in reply.text


def test_next_leads_nowhere_else(site: RunningGateway) -> None:
    assert 'content="0;url=/"' in journey(site, "/login/?next=https://evil.example/").text


def forged(provider: RunningProvider, **claims: Any) -> Any:
    """A token endpoint whose id token says something else."""

    def reply() -> Response:
        begun = next(asked for name, asked in reversed(provider.requests) if name == "authorization")
        now = int(time.time())
        content = {
            "iss": provider.issuer,
            "aud": CLIENT_ID,
            "sub": "alice-1",
            "iat": now,
            "exp": now + 60,
            "nonce": begun["nonce"],
            "preferred_username": "admin",
            **claims,
        }
        algorithm = content.pop("alg", "RS256")
        keys = provider.op.keyjar
        signed = JWT(keys, iss=provider.issuer, sign_alg=algorithm, with_jti=False).pack(
            {name: value for name, value in content.items() if value is not None},
            owner=CLIENT_ID if algorithm.startswith("HS") else "",
        )
        token = {"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": signed}
        return JSONResponse({name: value for name, value in token.items() if claims.get(name, "") is not None})

    return reply


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "replayed"},
        {"nonce": None},
        {"aud": "another-client"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"alg": "none"},
        # Made with the client's secret, which is no secret of the provider alone.
        {"alg": "HS256"},
        {"id_token": None},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_this_login_is_refused(
    site: RunningGateway, provider: RunningProvider, claims: dict[str, Any]
) -> None:
    provider.twist["token"] = forged(provider, **claims)
    reply = journey(site)
    assert reply.status_code in (403, 503), reply.text
    assert AUTH not in reply.cookies


def test_userinfo_about_somebody_else_is_refused(site: RunningGateway, provider: RunningProvider) -> None:
    provider.twist["userinfo"] = lambda: JSONResponse({"sub": "bob", "preferred_username": "bob"})
    reply = journey(site)
    assert (reply.status_code, AUTH in reply.cookies) == (503, False)


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [
        ("token", lambda: Response("<html>oops", 500)),
        ("token", lambda: Response("<html>oops", 200)),
        ("token", lambda: JSONResponse([])),
        ("token", lambda: JSONResponse({"error": "server_error"}, 500)),
        ("userinfo", lambda: Response("", 502)),
        ("userinfo", lambda: JSONResponse([1])),
    ],
)
def test_a_provider_that_answers_nonsense_is_a_page(
    site: RunningGateway, provider: RunningProvider, endpoint: str, answer: Any
) -> None:
    provider.twist[endpoint] = answer
    reply = journey(site)
    assert reply.status_code in (403, 503), reply.text
    assert reply.headers["content-type"].startswith("text/html")
    assert AUTH not in reply.cookies


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9", "{provider}/nowhere"])
def test_a_provider_that_is_away_is_a_page_with_other_ways(
    database_url: str, storage_dir: Path, provider: RunningProvider, issuer: str
) -> None:
    provider.reset()
    login = variables(provider, LOGIN_ISSUER=issuer.replace("{provider}", provider.issuer))
    with running_gateway(database_url, storage_dir, login=login, external_url="{address}") as site:
        reply = httpx.get(f"{site.address}/login/?next=/ui/")
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0
        assert "does not answer as it should" in reply.text
        assert 'href="/login/?next=/ui/&amp;with=token"' in reply.text
        form = httpx.get(f"{site.address}/login/?next=/ui/&with=token")
        assert (form.status_code, "<form" in form.text) == (200, True)
        assert httpx.post(f"{site.address}/login/", json={"username": "", "password": TOKEN}).status_code == 200


def test_an_issuer_that_calls_itself_otherwise_is_not_believed(
    database_url: str, storage_dir: Path, provider: RunningProvider
) -> None:
    provider.reset()
    provider.twist["provider_config"] = lambda: JSONResponse({"issuer": "https://evil.example"})
    with running_gateway(database_url, storage_dir, login=variables(provider), external_url="{address}") as site:
        assert httpx.get(f"{site.address}/login/").status_code == 503
        # It recovers without a restart.
        del provider.twist["provider_config"]
        assert httpx.get(f"{site.address}/login/").status_code == 302


def test_only_who_is_allowed_gets_in(database_url: str, storage_dir: Path, provider: RunningProvider) -> None:
    provider.reset()
    login = variables(provider, LOGIN_ALLOWED='{"groups": ["staff"], "preferred_username": ["bo*"]}')
    with running_gateway(database_url, storage_dir, login=login, external_url="{address}") as site:
        provider.allow(f"{site.address}/oauth_callback/")
        assert who(site, journey(site))["authenticated"]
        provider.who = "mallory"
        reply = journey(site)
        assert (reply.status_code, AUTH in reply.cookies) == (403, False)
        assert "may not log in here" in reply.text


def test_nobody_becomes_master_of_what_others_made_by_their_name(
    fresh: RunningGateway, provider: RunningProvider
) -> None:
    """Names are chosen at the provider: neither an existing namespace nor a principal of ours goes with one."""
    assert fresh.admin.post("/api/v1/namespace/alice/").status_code == 200
    found = who(fresh, journey(fresh))
    assert found["primary_namespace"] == "default"
    assert {"alice/*", "alice-lab/*"}.isdisjoint(found["entity_roles"])
    provider.people["root"] = {"sub": "root-1", "preferred_username": "admin", "groups": ["*", "../x", "data-*"]}
    provider.who = "root"
    reply = journey(fresh)
    assert who(fresh, reply)["entity_roles"] == {
        "admin/*": ["admin"],
        "admin-lab/*": ["admin"],
        "default/*": ["viewer"],
    }
    rows = fresh.admin.get("/api/v1/token/", params={"owner": "*"}).json()["data"]
    assert {row["owner"] for row in rows} == {"alice", "admin@oidc"}


def test_another_name_at_the_provider_gives_no_other_namespace(
    fresh: RunningGateway, provider: RunningProvider
) -> None:
    """Many providers let people change what they are called."""
    assert "alice-lab/*" in who(fresh, journey(fresh))["entity_roles"]
    provider.people["alice"]["preferred_username"] = "prod"
    found = who(fresh, journey(fresh))
    assert found["primary_namespace"] == "alice"
    assert [arn for arn in found["entity_roles"] if arn.startswith("prod")] == []
    assert "data-lab/*" in found["entity_roles"]


def test_mail_that_is_not_verified_gives_nothing(site: RunningGateway, provider: RunningProvider) -> None:
    provider.people["alice"]["email_verified"] = False
    assert "inside/*" not in who(site, journey(site))["entity_roles"]


def test_the_next_login_takes_back_what_the_claims_no_longer_give(
    fresh: RunningGateway, provider: RunningProvider
) -> None:
    first = journey(fresh)
    made = httpx.post(
        f"{fresh.address}/api/v1/token/",
        json={"role_bindings": {"team/*": ["viewer"]}},
        headers={"Cookie": f"{AUTH}={first.cookies[AUTH]}"},
    ).json()["data"]["token"]
    provider.people["alice"]["groups"] = []
    assert "team/*" not in who(fresh, journey(fresh))["entity_roles"]

    def left() -> bool:
        shown = httpx.get(f"{fresh.address}/api/v1/permission/", headers={"Authorization": f"Bearer {made}"}).json()
        return bool(shown["data"]["entity_roles"] == {"default/*": ["viewer"]})

    in_force(left)


def test_a_disabled_user_is_out_and_stays_out(fresh: RunningGateway) -> None:
    first = journey(fresh)
    (row,) = fresh.admin.get("/api/v1/user/").json()["data"]
    assert (row["name"], row["disabled_on"]) == ("alice", None)
    assert row["role_bindings"]["team/*"] == ["viewer"]
    assert fresh.admin.put("/api/v1/user/alice/", json={"disabled": True}).json()["message"] == "alice is disabled"
    in_force(lambda: not who(fresh, first)["authenticated"])
    reply = journey(fresh)
    assert (reply.status_code, "is disabled here" in reply.text) == (403, True)
    assert fresh.admin.put("/api/v1/user/alice/", json={"disabled": False}).is_success
    assert who(fresh, journey(fresh))["authenticated"]
    assert fresh.admin.put("/api/v1/user/nobody/", json={"disabled": True}).status_code == 404
    assert httpx.put(f"{fresh.address}/api/v1/user/alice/", json={"disabled": True}).status_code == 403
    assert httpx.get(f"{fresh.address}/api/v1/user/").status_code == 403


def test_no_secret_of_a_login_is_in_the_log(site: RunningGateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    begun = set_out(site)
    back = httpx.get(begun.headers["location"])
    reply = httpx.get(back.headers["location"], cookies=begun.cookies)
    query = parse_qs(urlsplit(back.headers["location"]).query)
    planted = [
        CLIENT_SECRET,
        query["code"][0],
        query["state"][0],
        reply.cookies[AUTH],
        begun.cookies[callback.COOKIE],
        "s3cret",
    ]
    # A request is logged after its reply: the next one comes behind that.
    text = str(site.admin.get("/api/v1/audit/").json())
    ours = "\n".join(message for message in caplog.messages if message.startswith("event='request' "))
    assert "/oauth_callback/" in ours
    assert [each for each in planted if each in ours] == []
    assert [each for each in planted if each in text] == []

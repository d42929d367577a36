"""The form and POST /login/: who gets in, as whom, and what the cookie is; the logout ends it."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from condarium.config import load
from condarium.errors import ConfigError
from services.api.config import LoginSettings, Settings, check_login
from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway
from tests.fixtures.patience import patient

AUTH = "conda-store-auth"


@pytest.fixture
def developed(database_url: str, storage_dir: Any) -> Iterator[RunningGateway]:
    """With the development login."""
    with running_gateway(database_url, storage_dir, login={"CONDARIUM_DEVELOPMENT_LOGIN": "true"}) as running:
        yield running


def log_in(gateway: RunningGateway, username: str, password: str, path: str = "/login/", **more: Any) -> httpx.Response:
    return gateway.http.post(path, json={"username": username, "password": password}, **more)


def cookie(reply: httpx.Response) -> str:
    return str(SimpleCookie(reply.headers["set-cookie"])[AUTH].value)


def who(gateway: RunningGateway, value: str) -> dict[str, Any]:
    """What a login may do; asked without the client's own cookies."""
    found = httpx.get(f"{gateway.address}/api/v1/permission/", headers={"Cookie": f"{AUTH}={value}"})
    return dict(found.json()["data"])


def mint(gateway: RunningGateway, **body: Any) -> dict[str, Any]:
    reply = gateway.admin.post("/api/v1/token/", json=body)
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


def test_the_reply_and_the_cookie_are_as_conda_stores(quiet_gateway: RunningGateway) -> None:
    reply = log_in(quiet_gateway, "anybody", TOKEN)
    assert reply.status_code == 200
    assert reply.json() == {"status": "ok", "data": {"redirect_url": f"{quiet_gateway.address}/"}}
    value = cookie(reply)
    assert reply.headers["set-cookie"] == f"{AUTH}={value}; HttpOnly; Max-Age=86399; Path=/; SameSite=strict"
    assert who(quiet_gateway, value)["entity_roles"]["*/*"] == ["admin"]


@pytest.mark.parametrize(
    "body",
    [
        {"username": "admin", "password": "wrong"},
        {"username": "admin", "password": ""},
        {"username": TOKEN, "password": "admin"},
        {"username": "admin"},
        {},
    ],
)
def test_wrong_credentials_are_403_in_conda_stores_words(quiet_gateway: RunningGateway, body: dict[str, str]) -> None:
    reply = quiet_gateway.http.post("/login/", json=body)
    assert reply.status_code == 403
    assert {**reply.json(), "code": ""} == {
        "status": "error",
        "message": "Invalid authentication credentials",
        "code": "",
    }
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"username": 7}', b'{"password": {"a": 1}}'])
def test_what_is_no_login_is_400_and_not_repeated(quiet_gateway: RunningGateway, body: bytes) -> None:
    reply = quiet_gateway.http.post("/login/", content=body)
    assert reply.status_code == 400
    assert "the body is no login" in reply.json()["message"]


def test_the_address_without_its_slash_is_redirected(quiet_gateway: RunningGateway) -> None:
    reply = log_in(quiet_gateway, "x", TOKEN, "/login")
    assert (reply.status_code, reply.headers["location"].endswith("/login/")) == (307, True)
    assert quiet_gateway.http.get("/login").status_code in (200, 307)


def test_a_token_logs_in_for_what_it_is_worth_and_ends_the_login_with_it(quiet_gateway: RunningGateway) -> None:
    made = mint(quiet_gateway, role_bindings={"team/*": ["viewer"]})
    value = cookie(log_in(quiet_gateway, "", made["token"]))
    assert who(quiet_gateway, value)["entity_roles"] == {"default/*": ["viewer"], "team/*": ["viewer"]}
    quiet_gateway.admin.delete(f"/api/v1/token/{made['condarium']['id']}/")
    assert who(quiet_gateway, value)["authenticated"] is False


def test_the_cookie_lives_no_longer_than_the_token(quiet_gateway: RunningGateway) -> None:
    end = datetime.now(UTC) + timedelta(seconds=100)
    reply = log_in(quiet_gateway, "", mint(quiet_gateway, expiration=end.isoformat())["token"])
    assert 90 < int(SimpleCookie(reply.headers["set-cookie"])[AUTH]["max-age"]) <= 100


def test_the_form_logs_in_and_goes_on(quiet_gateway: RunningGateway) -> None:
    page = quiet_gateway.http.get("/login/?next=/ui/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert 'action="/login/?next=/ui/"' in page.text
    assert page.headers["cache-control"] == "no-store"
    reply = quiet_gateway.http.post("/login/?next=/ui/", data={"username": "", "password": TOKEN})
    assert (reply.status_code, reply.headers["location"]) == (303, "/ui/")
    assert who(quiet_gateway, cookie(reply))["authenticated"]
    wrong = quiet_gateway.http.post("/login/?next=/ui/", data={"username": "", "password": "<b>wrong</b>"})
    assert (wrong.status_code, "Invalid authentication credentials" in wrong.text) == (403, True)
    assert "<b>wrong" not in wrong.text


def test_under_the_prefix_everything_stays_under_it(quiet_gateway: RunningGateway) -> None:
    page = quiet_gateway.http.get("/conda-store/login/")
    assert 'action="/conda-store/login/?next=/conda-store/"' in page.text
    reply = log_in(quiet_gateway, "x", TOKEN, "/conda-store/login/")
    assert reply.json()["data"]["redirect_url"] == f"{quiet_gateway.address}/conda-store/"
    assert "; Path=/;" in reply.headers["set-cookie"]


def test_behind_tls_and_below_a_path_the_cookie_says_so(database_url: str, storage_dir: Any) -> None:
    with running_gateway(database_url, storage_dir, external_url="https://lab.example/condarium") as running:
        header = log_in(running, "x", TOKEN).headers["set-cookie"]
    assert header.endswith("; HttpOnly; Max-Age=86399; Path=/condarium; SameSite=strict; Secure")


NEEDED = {
    "CONDARIUM_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/d",
    "CONDARIUM_AMQP_URL": "amqp://u:p@127.0.0.1:1/",
    "CONDARIUM_STORAGE_URL": "file:///tmp/nowhere",
    "CONDARIUM_SECRET": "hush",
    "CONDARIUM_ADMIN_TOKEN": "hush",
}
PLACES = [
    ("/ui/default/first", "/ui/default/first"),
    ("/conda-store/ui/?a=1", "/conda-store/ui/?a=1"),
    ("{address}/ui/x", "{address}/ui/x"),
    ("http://gateway.example:8080/ui/", "http://gateway.example:8080/ui/"),
    ("", "/"),
    ("//evil.example/", "/"),
    ("///evil.example/", "/"),
    ("/\\evil.example/", "/"),
    ("\\\\evil.example", "/"),
    ("/\t/evil.example", "/"),
    ("\n//evil.example", "/"),
    (" //evil.example", "/"),
    ("https://evil.example/", "/"),
    ("http://gateway.example:8080@evil.example/", "/"),
    ("http://user:pw@gateway.example:8080/", "/"),
    ("http://gateway.example:8080.evil.example/", "/"),
    ("https://gateway.example:8080/", "/"),
    ("javascript:alert(1)", "/"),
    ("data:text/html,x", "/"),
    ("evil.example", "/"),
    ("http:evil.example", "/"),
    ("http:///evil.example", "/"),
    ("http://[evil", "/"),
]


@pytest.mark.parametrize(("wanted", "place"), PLACES)
def test_next_leads_to_our_own_pages_only(quiet_gateway: RunningGateway, wanted: str, place: str) -> None:
    wanted, place = (each.replace("{address}", quiet_gateway.address) for each in (wanted, place))
    data = {"username": "", "password": TOKEN}
    reply = quiet_gateway.http.post("/login/", params={"next": wanted}, data=data)
    assert (reply.status_code, reply.headers["location"]) == (303, place)
    reply = quiet_gateway.http.post("/logout/", params={"next": wanted})
    assert (reply.status_code, reply.headers["location"]) == (303, place)


def test_a_logout_ends_the_login_wherever_its_cookie_was_copied(quiet_gateway: RunningGateway) -> None:
    value = cookie(log_in(quiet_gateway, "x", TOKEN))
    other = cookie(log_in(quiet_gateway, "x", TOKEN))
    minted = httpx.post(f"{quiet_gateway.address}/api/v1/token/", headers={"Cookie": f"{AUTH}={value}"}).json()
    reply = httpx.post(f"{quiet_gateway.address}/logout/", headers={"Cookie": f"{AUTH}={value}"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    gone = SimpleCookie(reply.headers["set-cookie"])[AUTH]
    assert (gone.value, gone["max-age"], gone["path"]) == ("", "0", "/")
    assert who(quiet_gateway, value)["authenticated"] is False
    # Another login, and a token that was made in this one, are not ended by it.
    assert who(quiet_gateway, other)["authenticated"]
    assert who(quiet_gateway, minted["data"]["token"])["authenticated"]


def test_a_logout_with_a_token_in_the_cookie_leaves_the_token(quiet_gateway: RunningGateway) -> None:
    token = mint(quiet_gateway)["token"]
    assert httpx.post(f"{quiet_gateway.address}/logout/", headers={"Cookie": f"{AUTH}={token}"}).status_code == 303
    assert who(quiet_gateway, token)["authenticated"]


def test_the_development_login_takes_the_name_that_is_given(developed: RunningGateway) -> None:
    alice = who(developed, cookie(log_in(developed, "alice", TOKEN)))
    assert alice["primary_namespace"] == "alice"
    assert alice["entity_roles"] == {"alice/*": ["admin"], "default/*": ["viewer"]}
    for name in ("admin", ""):
        assert who(developed, cookie(log_in(developed, name, TOKEN)))["entity_roles"]["*/*"] == ["admin"]
    assert log_in(developed, "alice", "wrong").status_code == 403
    for name in ("a/b", "system", "anonymous", "../x", "*"):
        assert log_in(developed, name, TOKEN).status_code == 403, name
    assert "CONDARIUM_ADMIN_TOKEN" in developed.http.get("/login/").text
    mine = httpx.post(
        f"{developed.address}/api/v1/specification/",
        json={"specification": "name: x\ndependencies: [python]\n"},
        headers={"Cookie": f"{AUTH}={cookie(log_in(developed, 'alice', TOKEN))}"},
    )
    assert mine.status_code == 200, mine.text


def test_without_it_the_name_does_not_matter(quiet_gateway: RunningGateway) -> None:
    found = who(quiet_gateway, cookie(log_in(quiet_gateway, "alice", TOKEN)))
    assert found["entity_roles"]["*/*"] == ["admin"]
    assert "CONDARIUM_ADMIN_TOKEN" not in quiet_gateway.http.get("/login/").text


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DEVELOPMENT_LOGIN": "true", "BIND": "0.0.0.0"}, "CONDARIUM_DEVELOPMENT_LOGIN is for one machine only"),
        ({"DEVELOPMENT_LOGIN": "true", "BIND": "::"}, "CONDARIUM_BIND is ::"),
        ({"LOGIN_PROVIDER": "oidc"}, "CONDARIUM_LOGIN_CLIENT_ID is not set"),
        (
            {"LOGIN_PROVIDER": "oidc", "LOGIN_CLIENT_ID": "a", "LOGIN_CLIENT_SECRET": "hush"},
            "CONDARIUM_LOGIN_ISSUER is not set",
        ),
        (
            {"LOGIN_PROVIDER": "github", "LOGIN_CLIENT_ID": "a", "LOGIN_CLIENT_SECRET": "hush"},
            "CONDARIUM_LOGIN_ALLOWED is not set",
        ),
        ({"TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "CONDARIUM_TRUSTED_PROXIES: 'proxy' is not"),
        ({"ALLOWED_ORIGINS": "jupyter.example"}, "CONDARIUM_ALLOWED_ORIGINS: 'jupyter.example' is no origin"),
        ({"LOGIN_BINDINGS": '{"groups": {"x": {"team": ["viewer"]}}}'}, "CONDARIUM_LOGIN_BINDINGS"),
        ({"LOGIN_BINDINGS": '{"groups": ["x"]}'}, "CONDARIUM_LOGIN_BINDINGS"),
    ],
)
def test_settings_that_do_not_go_together_are_named(variables: dict[str, str], said: str) -> None:
    environ = NEEDED | {f"CONDARIUM_{name}": value for name, value in variables.items()}
    with pytest.raises(ConfigError) as caught:
        check_login(load(Settings, environ), load(LoginSettings, environ))
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_they_stop_the_start() -> None:
    environ = NEEDED | {"CONDARIUM_DEVELOPMENT_LOGIN": "true", "CONDARIUM_BIND": "0.0.0.0", "PYTHONPATH": "shared:."}
    done = subprocess.run(
        [sys.executable, "-m", "services.api"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("CONDARIUM_DEVELOPMENT_LOGIN is for one machine only")
    assert len(done.stderr.strip().splitlines()) == 1

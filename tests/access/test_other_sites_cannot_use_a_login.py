"""The cookie works for our own pages and for programs; a page of another origin reads and writes as nobody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.gateway import SPECIFICATION, TOKEN, RunningGateway, running_gateway

AUTH = "conda-store-auth"
EVIL, FRIEND = "https://evil.example", "https://jupyter.example"
OWN = "http://gateway.example:8080"


@pytest.fixture(scope="module")
def site(
    postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    from tests.fixtures.infrastructure import _database

    storage: Path = tmp_path_factory.mktemp("storage")
    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_gateway(url, storage, login={"CONDARIUM_ALLOWED_ORIGINS": FRIEND}) as running:
            yield running


@pytest.fixture(scope="module")
def cookie(site: RunningGateway) -> str:
    reply = httpx.post(f"{site.address}/login/", json={"username": "x", "password": TOKEN})
    return f"other=1; {AUTH}={reply.cookies[AUTH]}; more=2"


def authenticated(site: RunningGateway, headers: dict[str, str]) -> bool:
    reply = httpx.get(f"{site.address}/api/v1/permission/", headers=headers)
    assert reply.status_code == 200
    return bool(reply.json()["data"]["authenticated"])


def write(site: RunningGateway, headers: dict[str, str], method: str = "POST") -> httpx.Response:
    body = {"specification": SPECIFICATION.format("first")}
    return httpx.request(method, f"{site.address}/api/v1/specification/", json=body, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN},
        {"Origin": "{address}"},
        {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "{address}", "Sec-Fetch-Site": "same-origin"},
        {"Referer": "{address}/ui/"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_our_own_pages_friends_and_programs_write(site: RunningGateway, cookie: str, headers: dict[str, str]) -> None:
    """The last of these have no header of a page at all: conda-store's client logs in and goes on with the cookie."""
    headers = {name: value.replace("{address}", site.address) for name, value in headers.items()}
    assert write(site, {**headers, "Cookie": cookie}).status_code == 200
    assert authenticated(site, {**headers, "Cookie": cookie})


FOREIGN = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://gateway.example:8081"},
    {"Origin": "https://gateway.example:8080"},
    {"Origin": "http://gateway.example:8080.evil.example"},
    {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
    {"Origin": f"{OWN} {EVIL}"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    # Another port of the host, a sibling domain: SameSite=strict lets these through.
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_origin_neither_reads_nor_writes_with_it(
    site: RunningGateway, cookie: str, headers: dict[str, str]
) -> None:
    assert not authenticated(site, {**headers, "Cookie": cookie})
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        reply = write(site, {**headers, "Cookie": cookie}, method)
        assert reply.status_code == 403
        assert reply.json()["code"] == "foreign-origin"
        assert "CONDARIUM_ALLOWED_ORIGINS" in reply.json()["message"]
    # Somebody who tries to log the browser in as themselves, or out.
    for path, body in (("/login/", {"username": "", "password": TOKEN}), ("/conda-store/login/", {}), ("/logout/", {})):
        reply = httpx.post(f"{site.address}{path}", data=body, headers=headers)
        assert reply.status_code == 403
        assert "set-cookie" not in reply.headers


def test_a_referer_of_another_site_is_foreign_too(site: RunningGateway, cookie: str) -> None:
    assert write(site, {"Cookie": cookie, "Referer": f"{EVIL}/page"}).status_code == 403


def test_following_a_link_to_us_is_fine(site: RunningGateway, cookie: str) -> None:
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Referer": EVIL}
    assert authenticated(site, headers)


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_token_works_from_anywhere(site: RunningGateway, cookie: str, headers: dict[str, str]) -> None:
    """What JupyterLab's extension does: nobody's browser adds a token by itself."""
    shown = {**headers, "Authorization": f"Bearer {TOKEN}"}
    assert write(site, shown).status_code == 200
    assert authenticated(site, shown)


@pytest.mark.parametrize("origin", [EVIL, FRIEND, OWN])
def test_every_origin_is_answered_as_conda_store_does(site: RunningGateway, cookie: str, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = httpx.options(f"{site.address}/api/v1/build/1/", headers=asked)
    assert preflight.status_code == 200
    for reply in (
        preflight,
        httpx.get(f"{site.address}/api/v1/permission/", headers={"Origin": origin}),
        write(site, {"Origin": origin, "Cookie": cookie}),
    ):
        assert reply.headers["access-control-allow-origin"] == origin
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in reply.headers["vary"]


def test_other_cookies_are_left_alone(site: RunningGateway, cookie: str) -> None:
    assert write(site, {"Cookie": "other=1", "Origin": EVIL, "Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert write(site, {"Cookie": "x-conda-store-auth=1", "Origin": EVIL}).json()["code"] == "not-authorized"

"""`X-Forwarded-*` and `Forwarded`: of whom they are believed, and what they change."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from condarium.errors import ConfigError
from condarium.http.proxies import Proxies, networks
from tests.fixtures.gateway import TOKEN, running_gateway
from tests.fixtures.patience import within
from tests.fixtures.registry import running_registry


def seen(peer: str, trusted: list[str], **headers: str) -> tuple[str, str, str]:
    """(client, scheme, host) as what is behind the middleware sees them."""
    found: list[tuple[str, str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode()
        found.append((scope["client"][0], scope["scheme"], host))

    raw = [(b"host", b"inner:8080")]
    raw += [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": raw}
    asyncio.run(Proxies(app, networks(trusted))(scope, None, None))  # type: ignore[arg-type]
    return found[0]


PLAIN = ("127.0.0.1", "http", "inner:8080")


def test_nobody_is_believed_by_default() -> None:
    headers = {"x_forwarded_for": "1.2.3.4", "x_forwarded_proto": "https", "x_forwarded_host": "evil.example"}
    assert seen("127.0.0.1", [], **headers) == PLAIN
    assert seen("127.0.0.1", ["10.0.0.0/8"], **headers) == PLAIN
    assert seen("127.0.0.1", ["10.0.0.0/8"], forwarded="for=1.2.3.4;proto=https;host=evil.example") == PLAIN


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_forwarded_for": "1.2.3.4"}, ("1.2.3.4", "http", "inner:8080")),
        (
            {"x_forwarded_for": "1.2.3.4", "x_forwarded_proto": "https", "x_forwarded_host": "lab.example"},
            ("1.2.3.4", "https", "lab.example"),
        ),
        ({"x_forwarded_proto": "https"}, ("127.0.0.1", "https", "inner:8080")),
        # What a client wrote itself stands before what the proxy appended.
        ({"x_forwarded_for": "6.6.6.6, 1.2.3.4"}, ("1.2.3.4", "http", "inner:8080")),
        ({"x_forwarded_for": "6.6.6.6, 1.2.3.4, 10.0.0.9"}, ("1.2.3.4", "http", "inner:8080")),
        ({"x_forwarded_for": "10.0.0.8, 10.0.0.9"}, ("10.0.0.8", "http", "inner:8080")),
        ({"x_forwarded_for": "2001:db8::1"}, ("2001:db8::1", "http", "inner:8080")),
        ({"x_forwarded_for": "[2001:db8::1]:443"}, ("2001:db8::1", "http", "inner:8080")),
        ({"x_forwarded_for": "1.2.3.4:5678"}, ("1.2.3.4", "http", "inner:8080")),
        ({"forwarded": "for=1.2.3.4;proto=https;host=lab.example"}, ("1.2.3.4", "https", "lab.example")),
        ({"forwarded": 'For="[2001:db8::1]:80";Proto=HTTPS'}, ("2001:db8::1", "https", "inner:8080")),
        ({"forwarded": 'for=6.6.6.6, for="1.2.3.4:80", for=10.0.0.9'}, ("1.2.3.4", "http", "inner:8080")),
        ({"forwarded": "for=unknown"}, ("unknown", "http", "inner:8080")),
        ({"forwarded": 'for="1.2.3.4, 5.6.7.8'}, PLAIN),
        ({"forwarded": ";;,,="}, PLAIN),
        ({"x_forwarded_for": " , ,"}, PLAIN),
        ({"x_forwarded_proto": "gopher"}, PLAIN),
        ({"x_forwarded_host": "evil.example/path"}, PLAIN),
        ({"x_forwarded_host": "a b"}, PLAIN),
        ({"x_forwarded_host": "\xff\xfe"}, PLAIN),
    ],
)
def test_what_a_trusted_one_says(headers: dict[str, str], expected: tuple[str, str, str]) -> None:
    assert seen("127.0.0.1", ["127.0.0.1", "10.0.0.0/8"], **headers) == expected


def test_an_address_in_the_new_form_of_the_old_is_the_same_address() -> None:
    assert seen("::ffff:127.0.0.1", ["127.0.0.1"], x_forwarded_for="1.2.3.4")[0] == "1.2.3.4"


def test_quotes_without_an_end_hold_nobody_up() -> None:
    # read once for each quote, it would take a minute
    with within(1):
        for value in ('"' + '\\"' * 60_000, "for=" + '"\\"' * 40_000):
            assert seen("127.0.0.1", ["127.0.0.1"], forwarded=value) == PLAIN


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"CONDARIUM_TRUSTED_PROXIES: 'proxy\.local' is not an address or network"):
        networks(["10.0.0.0/8", "proxy.local"])


HEADERS = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "lab.example"}


@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
def test_the_gateway_and_the_registry_do_so(
    database_url: str, storage_dir: Path, trusted: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    login = {"CONDARIUM_TRUSTED_PROXIES": trusted}
    believed = trusted != ""
    with running_gateway(database_url, storage_dir, login=login) as gateway:
        reply = gateway.http.post("/login/", json={"username": "", "password": TOKEN}, headers=HEADERS)
        place = json.loads(reply.text)["data"]["redirect_url"]
        assert place == ("https://lab.example/" if believed else f"{gateway.address}/")
        assert ("203.0.113.9" in str(gateway.admin.get("/api/v1/audit/").json())) is believed
    with running_registry(database_url, storage_dir, trusted_proxies=(trusted,) if trusted else ()) as registry:
        challenge = httpx.get(f"http://{registry.address}/v2/", headers=HEADERS).headers["www-authenticate"]
        realm = "https://lab.example/v2/token" if believed else f"http://{registry.address}/v2/token"
        assert f'realm="{realm}"' in challenge
    assert any("203.0.113.9" in message for message in caplog.messages) is believed

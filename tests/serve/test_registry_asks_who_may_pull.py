"""Every route of the registry asks; what is denied looks like what is missing; docker's token dance works."""

import re
import time

import httpx
import pytest

from condarium.domain.access import ADMIN, ANONYMOUS
from condarium.http.caller import Authenticator
from services.registry.tokens import LIFETIME_SECONDS, Tokens
from tests.fixtures.registry import TOKEN, RunningRegistry
from tests.fixtures.served import make_lock

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def secret(registry: RunningRegistry) -> RunningRegistry:
    made = registry.submit("env", namespace="secret")
    registry.solve(made.build_id, make_lock("a"))
    registry.complete(made.build_id)
    registry.make_image(made.build_id)
    return registry


PATHS = ("manifests/latest", f"manifests/{DIGEST}", f"blobs/{DIGEST}", "tags/list", f"referrers/{DIGEST}")


@pytest.mark.parametrize("path", PATHS)
def test_anonymous_is_asked_for_credentials_and_learns_nothing(secret: RunningRegistry, path: str) -> None:
    there = secret.http.get(f"/v2/secret/env/{path}")
    missing = secret.http.get(f"/v2/nowhere/env/{path}")
    for reply, name in ((there, "secret"), (missing, "nowhere")):
        assert reply.status_code == 401
        challenge = reply.headers["www-authenticate"]
        assert challenge == (
            f'Bearer realm="http://{secret.address}/v2/token",service="condarium",scope="repository:{name}/env:pull"'
        )
        assert reply.json()["errors"][0]["code"] == "UNAUTHORIZED"
    assert there.text.replace("secret", "nowhere") == missing.text


def test_the_default_namespace_is_open(registry: RunningRegistry) -> None:
    made = registry.submit("env")
    registry.solve(made.build_id, make_lock("a"))
    registry.complete(made.build_id)
    registry.make_image(made.build_id)
    assert registry.http.get("/v2/env/manifests/latest").status_code == 200
    assert registry.http.get("/v2/env/tags/list").status_code == 200


@pytest.mark.parametrize("auth", [("anybody", TOKEN), ("", TOKEN)])
def test_docker_login_and_pull(secret: RunningRegistry, auth: tuple[str, str]) -> None:
    ping = secret.http.get("/v2/")
    assert ping.status_code == 401
    assert ping.headers["docker-distribution-api-version"] == "registry/2.0"
    realm = re.match(r'Bearer realm="([^"]+)",service="condarium"$', ping.headers["www-authenticate"])
    assert realm is not None
    token = secret.http.get(realm[1], params={"service": "condarium", "scope": "repository:secret/env:pull"}, auth=auth)
    assert token.json()["expires_in"] >= 60
    headers = {"Authorization": f"Bearer {token.json()['token']}"}
    assert secret.http.get("/v2/", headers=headers).status_code == 200
    assert secret.http.get("/v2/secret/env/manifests/latest", headers=headers).status_code == 200
    missing = secret.http.get("/v2/nowhere/env/manifests/latest", headers=headers)
    assert missing.status_code == 404


def test_an_anonymous_token_pulls_what_is_open_and_nothing_else(secret: RunningRegistry) -> None:
    token = secret.http.get("/v2/token").json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert secret.http.get("/v2/", headers=headers).status_code == 200
    assert secret.http.get("/v2/secret/env/manifests/latest", headers=headers).status_code == 401


def test_a_wrong_password_fails_the_login(secret: RunningRegistry) -> None:
    reply = secret.http.get("/v2/token", auth=("admin", "wrong"))
    assert reply.status_code == 401
    assert "wrong token" in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize("how", ["bearer", "basic", "cookie"])
def test_the_credentials_of_the_gateway_work_directly(secret: RunningRegistry, how: str) -> None:
    options: dict[str, object] = {
        "bearer": {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        "basic": {"auth": ("x", TOKEN)},
        "cookie": {"headers": {"Cookie": f"conda-store-auth={TOKEN}"}},
    }[how]
    with httpx.Client(base_url=f"http://{secret.address}") as http:
        assert http.get("/v2/secret/env/manifests/latest", **options).status_code == 200  # type: ignore[arg-type]


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic", "Basic %%%", "Bearer admin.99999999999.00", "X"])
def test_malformed_credentials_are_anonymous(secret: RunningRegistry, header: str) -> None:
    reply = secret.http.get("/v2/secret/env/manifests/latest", headers={"Authorization": header})
    assert reply.status_code == 401


def test_a_token_ends_and_belongs_to_its_secrets() -> None:
    from starlette.requests import Request

    def caller(tokens: Tokens, shown: str) -> str:
        scope = {"type": "http", "headers": [(b"authorization", f"Bearer {shown}".encode())]}
        return tokens.caller(Request(scope)).name

    tokens = Tokens(Authenticator("a"), "s")
    assert caller(tokens, tokens.issue(ADMIN)) == "admin"
    assert caller(tokens, tokens.issue(ANONYMOUS)) == "anonymous"
    assert caller(tokens, tokens.issue(ADMIN, now=time.time() - LIFETIME_SECONDS - 1)) == "anonymous"
    for other in (Tokens(Authenticator("b"), "s"), Tokens(Authenticator("a"), "t")):
        assert caller(tokens, other.issue(ADMIN)) == "anonymous"
    name, until, signature = tokens.issue(ANONYMOUS).split(".")
    assert caller(tokens, f"admin.{until}.{signature}") == "anonymous"
    assert caller(tokens, f"{name}.{until}9.{signature}") == "anonymous"

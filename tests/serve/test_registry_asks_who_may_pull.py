"""Every route of the registry asks; what is denied looks like what is missing; docker's token dance works."""

import asyncio
import re
import time
from typing import Any

import httpx
import pytest

from condarium.database import Database
from condarium.domain.defaults import Defaults
from condarium.http.authenticator import Authenticator
from services.registry.tokens import LIFETIME_SECONDS, Tokens
from tests.fixtures.gateway import token_of
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


def test_a_token_ends_and_is_worth_what_its_credential_is_worth_now(database_url: str) -> None:
    from starlette.requests import Request

    database = Database(database_url)

    def tokens(admin_token: str = "the admin", secret: str = "s", **more: Any) -> Tokens:
        defaults = Defaults(admin_token, service_tokens=more)
        return Tokens(Authenticator(defaults, database), secret)

    def caller(read_by: Tokens, shown: str) -> str:
        scope = {"type": "http", "headers": [(b"authorization", f"Bearer {shown}".encode())]}
        return asyncio.run(read_by.caller(Request(scope))).name

    people = {"robot-token": {"name": "robot"}}
    first = tokens(**people)
    assert caller(first, first.issue("the admin")) == "admin"
    assert caller(first, first.issue("robot-token")) == "service:robot"
    assert caller(first, first.issue(None)) == "anonymous"
    assert caller(first, first.issue("the admin", now=time.time() - LIFETIME_SECONDS - 1)) == "anonymous"
    # Revoked, and sealed by others.
    assert caller(tokens(), first.issue("robot-token")) == "anonymous"
    assert caller(tokens("another"), first.issue("the admin")) == "anonymous"
    assert caller(first, tokens(secret="t").issue("the admin")) == "anonymous"
    shown = first.issue("the admin")
    assert "admin" not in shown
    for place in (0, 15, 30, len(shown) - 3):
        forged = shown[:place] + ("A" if shown[place] != "A" else "B") + shown[place + 1 :]
        assert caller(first, forged) == "anonymous"
    database.close()


def test_who_logs_in_without_a_role_on_the_open_namespace_may_log_in(registry: RunningRegistry) -> None:
    assert registry.http.get("/v2/", headers=token_of("stranger")).status_code == 200


@pytest.mark.parametrize(
    ("name", "found"), [("viewer", 200), ("editor", 200), ("owner", 200), ("stranger", 404), ("none", 404)]
)
def test_a_role_on_the_namespace_lets_pull(registry: RunningRegistry, name: str, found: int) -> None:
    made = registry.submit("env", namespace="team")
    registry.solve(made.build_id, make_lock("a"))
    registry.complete(made.build_id)
    registry.make_image(made.build_id)
    token = registry.http.get("/v2/token", headers=token_of(name)).json()["token"]
    for headers in (token_of(name), {"Authorization": f"Bearer {token}"}):
        reply = registry.http.get("/v2/team/env/manifests/latest", headers=headers)
        assert reply.status_code == found
        blobs = [layer["digest"] for layer in reply.json().get("layers", [])]
        assert all(
            registry.http.get(f"/v2/team/env/blobs/{each}", headers=headers).status_code == 200 for each in blobs
        )
        assert registry.http.get("/v2/team/env/tags/list", headers=headers).status_code == found


def test_the_catalog_lists_what_the_caller_may_pull(registry: RunningRegistry) -> None:
    for namespace, name in (("team", "b"), ("team", "A"), ("default", "open"), ("other", "c"), ("team", "unbuilt")):
        made = registry.submit(name, namespace=namespace)
        if name != "unbuilt":
            registry.solve(made.build_id, make_lock("a"))
            registry.complete(made.build_id)

    def listed(headers: dict[str, str], **query: str) -> list[str]:
        reply = registry.http.get("/v2/_catalog", headers=headers, params=query)
        assert reply.status_code == 200, reply.text
        return list(reply.json()["repositories"])

    assert listed({}) == ["default/open"]
    assert listed(token_of("viewer")) == ["default/open", "team/x--xx41", "team/b"]
    assert listed(token_of("stranger")) == ["default/open", "other/c"]
    pages, path = [], "/v2/_catalog?n=2"
    while path:
        reply = registry.admin.get(path)
        pages.append(reply.json()["repositories"])
        path = reply.links["next"]["url"] if "next" in reply.links else ""
    assert pages == [["default/open", "other/c"], ["team/x--xx41", "team/b"]]
    assert registry.http.get("/v2/_catalog?n=x").status_code == 400
    assert registry.http.get("/v2/_catalog?last=%25").status_code == 400

"""The two providers that are no OpenID providers: a real JupyterHub; GitHub's endpoints as documented."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from condarium.http.server import listening, server
from tests.fixtures import hub
from tests.fixtures.gateway import RunningGateway, running_gateway
from tests.fixtures.patience import CLIENT_SECONDS, patient
from tests.fixtures.system import free_port

AUTH = "conda-store-auth"


def variables(kind: str, issuer: str, client: str, secret: str, **more: Any) -> dict[str, str]:
    values = {"PROVIDER": kind, "ISSUER": issuer, "CLIENT_ID": client, "CLIENT_SECRET": secret}
    values |= {name: json.dumps(value) for name, value in more.items()}
    return {f"CONDARIUM_LOGIN_{name}": value for name, value in values.items()}


def journey(site: RunningGateway, browser: httpx.Client) -> httpx.Response:
    """As a browser goes, across both hosts; the reply of the callback."""
    begun = httpx.get(f"{site.address}/login/?next=/ui/")
    assert begun.status_code == 302, begun.text
    place = begun.headers["location"]
    for _ in range(6):
        reply = browser.get(place)
        assert reply.status_code == 302, reply.text
        place = str(reply.url.join(reply.headers["location"]))
        if "/oauth_callback/" in place.partition("?")[0]:
            # The gateway as `site` reaches it: the registered address may name another port.
            query = urlsplit(place).query
            return httpx.get(f"{site.address}/oauth_callback/?{query}", cookies=begun.cookies, timeout=CLIENT_SECONDS)
    raise AssertionError("the provider never sent back")


def roles(site: RunningGateway, reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    found = httpx.get(f"{site.address}/api/v1/permission/", headers={"Cookie": f"{AUTH}={reply.cookies[AUTH]}"})
    return dict(found.json()["data"]["entity_roles"])


def test_people_of_a_jupyterhub_log_in_with_their_groups(database_url: str, storage_dir: Path) -> None:
    # The hub has to know where to send people back to before the gateway knows the hub.
    external = f"http://127.0.0.1:{free_port()}"
    with hub.running_hub(f"{external}/oauth_callback/") as running:
        login = variables(
            "jupyterhub",
            running.address,
            hub.CLIENT_ID,
            hub.CLIENT_SECRET,
            BINDINGS={"groups": {"staff": {"team/*": ["editor"]}}},
            ALLOWED={"name": ["alice", "bob"]},
        )
        with running_gateway(database_url, storage_dir, login=login, external_url=external) as site:
            with closing(running.log_in("alice")) as browser:
                assert roles(site, journey(site, browser)) == {
                    "alice/*": ["admin"],
                    "default/*": ["viewer"],
                    "team/*": ["developer"],
                }
            with closing(running.log_in("bob")) as browser:
                assert roles(site, journey(site, browser)) == {"bob/*": ["admin"], "default/*": ["viewer"]}
            with closing(running.log_in("root")) as browser:
                reply = journey(site, browser)
                assert (reply.status_code, AUTH in reply.cookies) == (403, False)


@contextmanager
def github(said: dict[str, Any]) -> Iterator[str]:
    """Nothing of GitHub runs on this machine: its documented endpoints, as an enterprise server has them."""
    codes: dict[str, dict[str, str]] = {}

    async def authorize(request: Request) -> Response:
        codes["the-code"] = dict(request.query_params)
        back = f"{request.query_params['redirect_uri']}?code=the-code&state={request.query_params['state']}"
        return RedirectResponse(back, 302)

    async def token(request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        said["asked"] = {**codes.pop(form.get("code", ""), {}), **form}
        if request.headers.get("accept") != "application/json":
            return Response("access_token=gho_x&scope=read%3Aorg&token_type=bearer")
        if "scope" not in said["asked"]:
            return JSONResponse({"error": "bad_verification_code", "error_description": "The code is incorrect."})
        return JSONResponse({"access_token": "gho_x", "scope": "read:org,read:user", "token_type": "bearer"})

    def api(name: str) -> Any:
        async def endpoint(request: Request) -> Response:
            assert request.headers["authorization"] == "Bearer gho_x"
            return JSONResponse(said[name])

        return endpoint

    app = Starlette(
        routes=[
            Route("/login/oauth/authorize", authorize),
            Route("/login/oauth/access_token", token, methods=["POST"]),
            Route("/api/v3/user", api("user")),
            Route("/api/v3/user/orgs", api("orgs")),
            Route("/api/v3/user/teams", api("teams")),
        ]
    )
    sock = listening("127.0.0.1", 0)
    made = server(app)
    thread = threading.Thread(target=made.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        made.should_exit = True
        thread.join(patient(20))
        sock.close()


def test_people_of_github_log_in_by_organization_and_team(database_url: str, storage_dir: Path) -> None:
    said: dict[str, Any] = {
        "user": {"id": 4711, "login": "Octo-Cat", "name": None},
        "orgs": [{"login": "our-lab"}],
        "teams": [{"slug": "builders", "organization": {"login": "our-lab"}}],
    }
    with github(said) as address:
        login = variables(
            "github",
            address,
            "id",
            "github-secret",
            ALLOWED={"groups": ["our-lab"]},
            BINDINGS={"teams": {"our-lab/builders": {"lab/*": ["editor"]}}},
        )
        with (
            running_gateway(database_url, storage_dir, login=login, external_url="{address}") as site,
            httpx.Client() as browser,
        ):
            expected = {"Octo-Cat/*": ["admin"], "default/*": ["viewer"], "lab/*": ["developer"]}
            assert roles(site, journey(site, browser)) == expected
            assert set(said["asked"]["scope"].split()) == {"read:user", "read:org"}
            assert said["asked"]["code_challenge_method"] == "S256"
            assert said["asked"]["client_secret"] == "github-secret"
            # Their names may change hands, their numbers do not.
            said["user"] = {"id": 815, "login": "Octo-Cat", "name": None}
            reply = journey(site, browser)
            assert (reply.status_code, "belongs to another account" in reply.text) == (403, True)
            said["user"], said["orgs"] = {"id": 4711, "login": "Octo-Cat"}, []
            reply = journey(site, browser)
            assert (reply.status_code, "may not log in here" in reply.text) == (403, True)

"""What REST can do, the Python client can do: each route of the description is asked by one of its methods."""

import re
from pathlib import Path
from typing import Any

import httpx

from condarium.client import ApiError, Client
from tests.fixtures.gateway import RunningGateway

#: the same bytes by other addresses, pages for browsers, and what operators' programs read
OTHERS = re.compile(
    r"/\Z|/(healthz|metrics|openapi\.json|storage|ui|static|favicon|admin|docs|redoc|oauth_callback)"
    r"|/api/.*/(conda-lock\.ya?ml|archive\.tar\.(gz|zst)|installer/|yaml/|docker/)\Z"
)
#: routes that another one of the same meaning stands for
TWINS = {
    ("GET", "/api/v1/environment/"),
    ("GET", "/api/v1/environment/{namespace}/{environment_name}/lockfile/"),
    ("GET", "/api/v1/build/{build_id}/artifact/{artifact_type}/"),
    ("PUT", "/api/v1/namespace/{namespace}/metadata"),
    ("GET", "/login/"),
}


def call_everything(client: Client, tmp_path: Path) -> None:
    def take(wanted: Any) -> None:
        try:
            found = wanted()
            if hasattr(found, "__next__"):
                next(found, None)
            elif hasattr(found, "__enter__"):
                with found:
                    pass
        except ApiError:
            pass

    for level in ((), ("n",), ("n", "e")):
        take(lambda level=level: client.settings(*level))
        take(lambda level=level: client.change_settings({"a": 1}, *level))
        take(lambda level=level: client.setting_origins(*level))
        take(lambda level=level: client.setting_history(*level))
    for namespace in ("", "n"):
        take(lambda namespace=namespace: client.credentials(namespace))
        take(lambda namespace=namespace: client.put_credential("c", kind="bearer", url="u", namespace=namespace))
        take(lambda namespace=namespace: client.delete_credential("c", namespace=namespace))
    for wanted in (
        client.version,
        lambda: client.publish_rules("n"),
        lambda: client.put_publish_rule("n", "r", registry="x"),
        lambda: client.delete_publish_rule("n", "r"),
        lambda: client.publications("n"),
        lambda: client.retry_publication("n", 1),
        client.base_images,
        lambda: client.choose_base_image(1),
        client.permission,
        client.readiness,
        lambda: client.log_in("a", "b"),
        client.log_out,
        lambda: client.submit("x"),
        lambda: client.solve("x"),
        lambda: client.solve_packages(["x"]),
        client.environments,
        lambda: client.environment("n", "e"),
        lambda: client.activate("n", "e", 1),
        lambda: client.delete_environment("n", "e"),
        client.builds,
        lambda: client.build(1),
        lambda: client.packages(1),
        lambda: client.rebuild(1),
        lambda: client.cancel(1),
        lambda: client.retry(1),
        lambda: client.label(1, {}),
        lambda: client.delete_build(1),
        lambda: client.artifacts(1),
        lambda: client.request_artifact(1, "LOGS"),
        lambda: client.lockfile(1),
        lambda: client.logs(1),
        lambda: client.save("build/1/archive/", tmp_path / "a"),
        lambda: client.follow(1),
        client.events,
        lambda: client.build_events(1),
        client.namespaces,
        lambda: client.namespace("n"),
        lambda: client.create_namespace("n"),
        lambda: client.update_namespace("n"),
        lambda: client.delete_namespace("n"),
        lambda: client.roles("n"),
        lambda: client.role("n", "o"),
        lambda: client.give_role("n", "o", "viewer"),
        lambda: client.change_role("n", "o", "viewer"),
        lambda: client.take_role("n", "o"),
        lambda: client.take_roles("n"),
        client.tokens,
        client.create_token,
        lambda: client.revoke_token(1),
        client.usage,
        client.users,
        lambda: client.disable_user("u"),
        lambda: client.quota("n"),
        lambda: client.change_quota("n", {}),
        client.channels,
        client.search_packages,
        lambda: client.package_records("p"),
        client.signing_keys,
        client.public_key,
        client.rotate_signing_key,
        client.sign_again,
        lambda: client.sbom(1),
        client.sweep,
        client.verify,
        client.sweeps,
        lambda: client.sweep_report(1),
        lambda: client.why("n/e"),
        lambda: client.pin(1),
        lambda: client.unpin(1),
        client.audit,
        client.export_audit,
    ):
        take(wanted)


def test_every_route_has_a_method(quiet_gateway: RunningGateway, tmp_path: Path) -> None:
    asked: set[tuple[str, str]] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.add((request.method, request.url.path))
        return httpx.Response(404, json={"message": "no", "code": "not-found"})

    with Client("http://gateway.example", transport=httpx.MockTransport(answer)) as client:
        call_everything(client, tmp_path)
    document = quiet_gateway.http.get("/openapi.json").json()
    missing = []
    for path, methods in document["paths"].items():
        pattern = re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path) + r"\Z")
        for method in methods:
            route = (method.upper(), path)
            if route in TWINS or OTHERS.match(path):
                continue
            if not any(verb == route[0] and pattern.match(place) for verb, place in asked):
                missing.append(route)
    assert missing == []

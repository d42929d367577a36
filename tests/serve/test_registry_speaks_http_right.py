"""What HTTP itself asks for: names in all spellings, methods, weights of Accept; and equal bytes in two namespaces."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from condarium.database.images import Manifest
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import DOCKER_LIST, OCI_INDEX
from services.registry.faults import ManifestUnknown
from services.registry.negotiation import accepted, choose
from tests.fixtures.gateway import token_of
from tests.fixtures.patience import patient
from tests.fixtures.registry import RunningRegistry, running_registry
from tests.fixtures.served import make_lock

MISSING = "sha256:" + "ab" * 32


@pytest.fixture(scope="module")
def registry(
    postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningRegistry]:
    from tests.fixtures.infrastructure import _database

    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_registry(url, tmp_path_factory.mktemp("storage")) as running:
            # the same lock and so the same image in two namespaces, and another one in the second
            for name, namespace, package in (
                ("env", "default", "zlib"),
                ("env", "team", "zlib"),
                ("own", "team", "bzip2"),
                ("My+Env", "default", "zlib"),
            ):
                made = running.submit(name, namespace=namespace, package=package)
                running.solve(made.build_id, make_lock(package))
                running.complete(made.build_id)
                running.make_image(made.build_id, {"opt/env/data": package.encode()})
            yield running


def raw(registry: RunningRegistry, target: str, method: str = "GET", *headers: str) -> tuple[int, bytes]:
    """A request as it stands, without the repairs of a client: status and body."""
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=patient(20)) as connection:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {registry.address}", "Connection: close", *headers]
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "target",
    [
        "/v2/env/manifests/latest",
        "/v2/default/env/manifests/latest",
        "/v2/default%2Fenv/manifests/latest",
        "/v2/default%2fenv/manifests/l%61test",
        "/v2/%65nv/manifests/latest?x=y",
    ],
)
def test_a_name_in_any_spelling_is_the_same_repository(registry: RunningRegistry, target: str) -> None:
    expected = registry.http.get("/v2/env/manifests/latest").content
    assert raw(registry, target) == (200, expected)
    assert raw(registry, target, "HEAD") == (200, b"")


def test_an_escaped_name_and_an_escaped_digest_are_found(registry: RunningRegistry) -> None:
    (name,) = (
        each for each in registry.http.get("/v2/_catalog").json()["repositories"] if each.startswith("default/x--")
    )
    digest = registry.http.get(f"/v2/{name}/manifests/latest").headers["docker-content-digest"]
    for path in (f"manifests/{digest}", f"manifests/{digest.replace(':', '%3A')}"):
        assert raw(registry, f"/v2/{name}/{path}")[0] == 200
    assert registry.http.get(f"/v2/{name}/tags/list").json()["name"] == name


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v2//env/manifests/latest", 400),
        ("/v2/default//env/manifests/latest", 400),
        ("/v2/env//manifests/latest", 400),
        ("/v2/env/manifests//latest", 404),
        ("/v2/env/manifests/latest/", 404),
        ("/v2/env/manifests/", 404),
        ("/v2/env/tags/list/", 404),
        ("/v2/env/tags", 404),
        ("/v2/manifests/latest", 404),
        ("//v2/env/manifests/latest", 404),
        ("/v2/../v2/env/manifests/latest", 400),
        ("/v2/env/manifests/%00", 404),
        ("/v2/env/manifests/%ff", 404),
        ("/v2/env/linux-64/%00/manifests/1.0-0", 404),
        ("/v2/env/linux-64/zlib%00/tags/list", 404),
        (f"/v2/env/linux-64/%00/blobs/{MISSING}", 404),
        (f"/v2/env/referrers/{MISSING}?artifactType=%00", 400),
        ("/v2/env%0a/manifests/latest", 404),
        ("/v2/e%C3%A9/manifests/latest", 400),
        (f"/v2/{'a' * 256}/manifests/latest", 400),
        ("/v3/", 404),
        ("/", 404),
    ],
)
def test_every_other_address_is_refused_in_the_registrys_json(
    registry: RunningRegistry, target: str, status: int
) -> None:
    found, body = raw(registry, target)
    assert found == status
    assert b'"errors":[{"code":"' in body
    head = raw(registry, target, "HEAD")
    assert head == (status, b"")


def test_what_is_no_http_is_refused(registry: RunningRegistry) -> None:
    for target in ("/v2/\xe9/manifests/latest", "/v2/a b/manifests/latest"):
        assert raw(registry, target)[0] == 400
    assert registry.http.get("/v2/env/manifests/latest").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["manifests/latest", f"blobs/{MISSING}", "tags/list", f"referrers/{MISSING}"])
def test_other_methods_are_405_and_say_which_ones_there_are(registry: RunningRegistry, method: str, path: str) -> None:
    reply = registry.http.request(method, f"/v2/env/{path}")
    assert reply.status_code in ((400, 405) if method == "BREW" else (405,))
    if reply.status_code == 405:
        assert reply.json()["errors"][0]["code"] == "UNSUPPORTED"
        assert {each.strip() for each in reply.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_a_push_is_told_that_nobody_pushes(registry: RunningRegistry) -> None:
    for method, path in (("POST", "uploads/"), ("PATCH", "uploads/some-id"), ("PUT", f"uploads/x?digest={MISSING}")):
        reply = registry.http.request(method, f"/v2/env/blobs/{path}")
        assert reply.status_code == 405
        assert reply.json()["errors"][0] == {
            "code": "UNSUPPORTED",
            "message": "this registry is for pulling: images are made of builds",
            "detail": None,
        }
    assert registry.http.post("/v2/team/env/blobs/uploads/").status_code == 401


# -- Accept -----------------------------------------------------------------------------------------------------

BOTH = (OCI_MANIFEST, DOCKER_MANIFEST)
ALL = (OCI_INDEX, DOCKER_LIST, *BOTH)


@pytest.mark.parametrize(
    ("there", "lines", "chosen"),
    [
        (ALL, [], OCI_INDEX),
        (ALL, [""], OCI_INDEX),
        (ALL, ["*/*"], OCI_INDEX),
        (ALL, ["application/*"], OCI_INDEX),
        (ALL, [DOCKER_LIST, OCI_MANIFEST], DOCKER_LIST),
        (ALL, [f"{DOCKER_MANIFEST}, {OCI_INDEX};q=0.1"], DOCKER_MANIFEST),
        (ALL, [f"{DOCKER_MANIFEST};q=0.5", f"{OCI_MANIFEST};q=0.5"], OCI_MANIFEST),
        (ALL, [f"{DOCKER_MANIFEST}, */*;q=0.1"], DOCKER_MANIFEST),
        (ALL, [f"*/*, {OCI_INDEX};q=0, {DOCKER_LIST};q=0"], OCI_MANIFEST),
        (BOTH, [f"{OCI_INDEX}, {DOCKER_MANIFEST} ; q=0.2"], DOCKER_MANIFEST),
        (BOTH, [f"{OCI_MANIFEST}; charset=utf-8; q=bad", DOCKER_MANIFEST], OCI_MANIFEST),
        (BOTH, [DOCKER_MANIFEST.upper()], DOCKER_MANIFEST),
        (BOTH, [OCI_INDEX], None),
        (BOTH, ["*/*;q=0"], None),
        (BOTH, [f"{OCI_MANIFEST};q=0", f"{DOCKER_MANIFEST};q=0.0"], None),
    ],
)
def test_accept_is_read_whole(there: tuple[str, ...], lines: list[str], chosen: str | None) -> None:
    manifests = [Manifest("", media_type, b"", "linux-64") for media_type in reversed(there)]
    for order in (lines, lines[::-1]):
        if chosen is None:
            with pytest.raises(ManifestUnknown, match="not in a form that this client accepts"):
                choose(manifests, accepted(order))
        else:
            assert choose(manifests, accepted(order)).media_type == chosen


def test_accept_lines_in_any_order_give_one_digest(registry: RunningRegistry) -> None:
    types = [DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST]
    found = set()
    for order in (types, types[::-1], [", ".join(types)]):
        headers = [("accept", each) for each in order]
        request = httpx.Request("HEAD", f"http://{registry.address}/v2/env/manifests/latest", headers=headers)
        reply = registry.http.send(request)
        assert reply.headers["vary"] == "Accept"
        found.add(reply.headers["docker-content-digest"])
    assert len(found) == 1


# -- scope ------------------------------------------------------------------------------------------------------


def named(registry: RunningRegistry, name: str) -> list[str]:
    """Paths of everything that the image of a repository names."""
    reply = registry.admin.get(f"/v2/{name}/manifests/latest")
    content = reply.json()
    blobs = [content["config"]["digest"], *(layer["digest"] for layer in content["layers"])]
    return [f"manifests/{reply.headers['docker-content-digest']}", *(f"blobs/{each}" for each in blobs)]


def test_equal_digests_of_two_namespaces_are_served_to_whoever_may_pull_one_of_them(registry: RunningRegistry) -> None:
    assert named(registry, "default/env") == named(registry, "team/env")
    for path in named(registry, "team/env"):
        assert registry.http.get(f"/v2/default/env/{path}").status_code == 200
        assert registry.http.get(f"/v2/team/env/{path}").status_code == 401
        for name, status in (("viewer", 200), ("stranger", 404)):
            assert registry.http.get(f"/v2/team/env/{path}", headers=token_of(name)).status_code == status


def test_nothing_is_served_under_a_repository_that_does_not_name_it(registry: RunningRegistry) -> None:
    for path in named(registry, "team/own"):
        assert registry.admin.get(f"/v2/team/own/{path}").status_code == 200
        for name in ("default/env", "team/env"):
            for method in ("GET", "HEAD"):
                assert registry.admin.request(method, f"/v2/{name}/{path}").status_code == 404


def test_what_is_denied_is_not_told_from_what_is_missing(registry: RunningRegistry) -> None:
    for path in (*named(registry, "team/own"), "manifests/latest", "tags/list", f"blobs/{MISSING}"):
        for headers in ({}, token_of("stranger")):
            replies = [
                registry.http.get(f"/v2/{name}/{path}", headers=headers)
                for name in ("team/own", "team/nay", "none/own")
            ]
            assert len({reply.status_code for reply in replies}) == 1
            shapes = {
                (
                    reply.text.replace("none", "team").replace("nay", "own"),
                    tuple(sorted(set(reply.headers) - {"date"})),
                    reply.headers["content-length"],
                )
                for reply in replies
            }
            assert len(shapes) == 1

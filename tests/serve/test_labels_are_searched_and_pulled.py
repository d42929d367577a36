"""Labels of builds: given with a submission or later, searched for, and tags of images."""

from typing import Any

import pytest

from condarium.database import builds, labels
from condarium.domain.labels import may_be, parse_selectors, tag_of
from condarium.domain.tags import Labelled, parse_tag
from condarium.errors import InvalidInput
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.registry import RunningRegistry
from tests.fixtures.served import make_lock

SHA = "3f2a1c9d0e8b7f6a5c4d3e2f1a0b9c8d7e6f5a4b"


def label(gateway: RunningGateway, build_id: int, **found: str) -> Any:
    return gateway.admin.put(f"/api/v1/build/{build_id}/labels/", json={"labels": found})


def labels_of(gateway: RunningGateway, build_id: int) -> dict[str, str]:
    return dict(gateway.admin.get(f"/api/v1/build/{build_id}/").json()["data"]["condarium"]["labels"])


def found(gateway: RunningGateway, *asked: str, kind: str = "build") -> list[int]:
    query = "&".join(f"label={each}" for each in asked)
    reply = gateway.admin.get(f"/api/v1/{kind}/?{query}")
    assert reply.status_code == 200, reply.text
    content = reply.json()
    assert content["count"] == len(content["data"])
    return [row["id"] for row in content["data"]]


def test_labels_come_with_a_submission_and_are_changed(gateway: RunningGateway) -> None:
    build_id = gateway.post("first", labels={"git": SHA, "stage": "test"})
    assert labels_of(gateway, build_id) == {"git": SHA, "stage": "test"}
    assert label(gateway, build_id, stage="live", by="me").json() == {
        "status": "ok",
        "message": f"build {build_id} labelled",
    }
    assert labels_of(gateway, build_id) == {"by": "me", "stage": "live"}
    assert label(gateway, build_id).status_code == 200
    assert labels_of(gateway, build_id) == {}
    # A new build of the same specification is not what was labelled.
    label(gateway, build_id, stage="live")
    again = gateway.admin.put(f"/api/v1/build/{build_id}/").json()["data"]["build_id"]
    assert labels_of(gateway, again) == {}


def test_builds_are_found_by_label(gateway: RunningGateway) -> None:
    first = gateway.post("first", labels={"git": SHA, "stage": "test"})
    second = gateway.post("second", labels={"git": SHA})
    gateway.post("third", labels={"git": "other", "stage": "test"})
    assert found(gateway, f"git={SHA}") == [first, second]
    assert found(gateway, f"git={SHA}", "stage=test") == [first]
    assert len(found(gateway, "git")) == 3
    assert found(gateway, "stage=live") == []
    # conda-store's client puts a slash behind the last value
    reply = gateway.admin.get(f"/api/v1/build?label=git={SHA}/")
    assert [row["id"] for row in reply.json()["data"]] == [first, second]


def test_environments_are_found_by_the_labels_of_their_current_build(gateway: RunningGateway) -> None:
    first = gateway.post("first", labels={"stage": "live"})
    assert found(gateway, "stage=live", kind="environment") == []
    gateway.solve(first, make_lock("zlib"))
    gateway.complete(first)
    rows = gateway.admin.get("/api/v1/environment/?label=stage=live").json()["data"]
    assert [row["name"] for row in rows] == ["first"]
    assert gateway.admin.get("/api/v2/environment/?label=stage").json()["count"] == 1
    assert gateway.admin.get("/api/v2/environment/?label=stage=test").json()["count"] == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a b": "c"}, "labels: 'a b' is no key"),
        ({"a": ""}, "labels.a: '' is no value"),
        ({"a": "x" * 64}, "is no value; allowed are 1 to 63"),
        ({"-a": "b"}, "is no key"),
        ({"a": "b-"}, "is no value"),
        ({"a": "ü"}, "is no value"),
        ({f"k{number}": "v" for number in range(33)}, "a build has at most 32"),
    ],
)
def test_what_is_no_label_is_said(gateway: RunningGateway, given: dict[str, str], said: str) -> None:
    build_id = gateway.post("first")
    reply = gateway.admin.put(f"/api/v1/build/{build_id}/labels/", json={"labels": given})
    assert reply.status_code == 400
    assert said in reply.json()["message"]
    body = {"specification": "name: x\ndependencies: [python]", "labels": given}
    assert gateway.admin.post("/api/v1/specification/", json=body).status_code == 400
    assert labels_of(gateway, build_id) == {}


def test_other_wrong_input(gateway: RunningGateway) -> None:
    build_id = gateway.post("first", labels={"a": "b"})
    assert gateway.http.put(f"/api/v1/build/{build_id}/labels/", json={"labels": {}}).status_code == 403
    assert gateway.admin.put("/api/v1/build/999/labels/", json={"labels": {}}).status_code == 404
    assert gateway.admin.put(f"/api/v1/build/{build_id}/labels/", json={"labels": {"a": 1}}).status_code == 422
    assert gateway.admin.put(f"/api/v1/build/{build_id}/labels/", json={}).status_code == 422
    assert gateway.admin.get("/api/v1/build/?label=a%20b").status_code == 400
    assert gateway.admin.get("/api/v1/environment/?label==").status_code == 400
    assert labels_of(gateway, build_id) == {"a": "b"}


def test_a_label_is_a_tag_of_the_newest_image_that_has_it(registry: RunningRegistry) -> None:
    digests = []
    for package in ("zlib", "xz", "bzip2"):
        build_id = registry.submit("env").build_id
        registry.solve(build_id, make_lock(package))
        registry.complete(build_id)
        digests.append(registry.make_image(build_id, {f"opt/env/{package}": b"x"}))
        wanted = {"git": package, "stage": "bzip2-not" if package == "bzip2" else "live", "build-by": "me-1"}
        with registry.database.transaction() as session:
            labels.put(session, build_id, wanted, actor="test")
    assert digest(registry, "git-zlib") == digests[0]
    assert digest(registry, "stage-live") == digests[1]
    # dashes of the key and of the value
    assert digest(registry, "build-by-me-1") == digests[2]
    assert digest(registry, "stage-bzip2-not") == digests[2]
    tags = registry.http.get("/v2/env/tags/list").json()["tags"]
    assert {"git-zlib", "git-xz", "git-bzip2", "stage-live", "stage-bzip2-not", "build-by-me-1"} <= set(tags)
    missing = registry.http.get("/v2/env/manifests/git-none")
    assert missing.status_code == 404
    assert "labels (key-value)" in missing.text
    with registry.database.transaction() as session:
        third = builds.load(session, build_id).id
        labels.put(session, third, {}, actor="test")
    assert digest(registry, "build-by-me-1") == digests[1]


def digest(registry: RunningRegistry, tag: str) -> str:
    reply = registry.http.head(f"/v2/env/manifests/{tag}")
    assert reply.status_code == 200, registry.http.get(f"/v2/env/manifests/{tag}").text
    return str(reply.headers["docker-content-digest"]).removeprefix("sha256:")


def test_a_tag_is_read_back_as_its_label() -> None:
    for key, value in (("git", SHA), ("a-b", "c-d"), ("k" * 63, "v" * 63), ("a.b", "1.2_3")):
        tag = tag_of(key, value)
        assert len(tag) <= 128
        assert (key, value) in may_be(tag)
        assert parse_tag(tag) == Labelled(tuple(may_be(tag)))
    assert may_be("latest") == []


@pytest.mark.parametrize("text", ["", "=", "=a", "a=", "a=b=c", "a b"])
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(InvalidInput, match="write key=value, or a key alone"):
        parse_selectors([text])

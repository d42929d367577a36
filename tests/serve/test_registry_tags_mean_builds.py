"""Every form of a tag finds its build, and what is not there says why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condarium.domain.naming import BuildKey, build_key, encode_tag
from condarium.domain.tags import (
    Candidate,
    Generation,
    HashPrefix,
    Latest,
    ambiguity,
    choose,
    parse_digest,
    parse_tag,
)
from tests.fixtures.registry import RunningRegistry
from tests.fixtures.served import make_lock

hashes = st.text("0123456789abcdef", min_size=64, max_size=64)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("latest", Latest()),
        ("g1", Generation(1)),
        ("g12", Generation(12)),
        ("0123abcd", HashPrefix("0123abcd")),
        ("f" * 64, HashPrefix("f" * 64)),
        ("0123abcd-170-12-my.env", BuildKey("0123abcd", 170, 12, "my.env")),
        ("0123abcd-170-12-a--x2bb", BuildKey("0123abcd", 170, 12, "a+b")),
        ("g0", None),
        ("g01", None),
        ("g", None),
        ("1234567", None),
        ("0123ABCD", None),
        ("f" * 65, None),
        ("latest ", None),
        ("", None),
        ("-a", None),
        ("a\n", None),
        ("v1.2", None),
    ],
)
def test_a_tag_has_one_meaning(text: str, meaning: object) -> None:
    assert parse_tag(text) == meaning


@given(hashes, st.integers(8, 64))
def test_a_prefix_of_one_hash_chooses_it(sha256: str, length: int) -> None:
    candidate = Candidate("lock", sha256)
    assert choose(sha256[:length], [candidate, candidate]) == [candidate]
    assert parse_digest(f"sha256:{sha256}") == sha256


@given(st.lists(hashes, min_size=2, max_size=5, unique=True))
def test_an_ambiguous_prefix_lists_tags_that_would_do(found: list[str]) -> None:
    candidates = [Candidate("lock", sha256) for sha256 in found]
    sentence = ambiguity("", candidates)
    for sha256 in found:
        shown = next(word for word in sentence.split() if len(word) >= 1 and sha256.startswith(word.strip(",()")))
        assert len(choose(shown.strip(",()"), candidates)) == 1


@given(st.text(max_size=20))
def test_no_text_breaks_the_reader(text: str) -> None:
    parse_tag(text)
    parse_digest(text)


def digest(registry: RunningRegistry, tag: str, name: str = "env") -> str:
    reply = registry.http.head(f"/v2/{name}/manifests/{tag}")
    assert reply.status_code == 200, registry.http.get(f"/v2/{name}/manifests/{tag}").text
    return str(reply.headers["docker-content-digest"])


def message(registry: RunningRegistry, tag: str, name: str = "env") -> str:
    reply = registry.http.get(f"/v2/{name}/manifests/{tag}")
    assert reply.status_code == 404, reply.text
    error = reply.json()["errors"][0]
    assert error["code"] == "MANIFEST_UNKNOWN"
    return str(error["message"])


def test_every_form_of_a_tag_finds_its_build(registry: RunningRegistry) -> None:
    first = registry.submit("env")
    registry.solve(first.build_id, make_lock("a"))
    registry.complete(first.build_id)
    registry.make_image(first.build_id)
    second = registry.submit("env", package="other")
    registry.solve(second.build_id, make_lock("b"))
    registry.complete(second.build_id)
    registry.make_image(second.build_id)
    with registry.database.transaction() as session:
        from condarium.database import builds

        specifications = [builds.load(session, n.build_id).specification.sha256 for n in (first, second)]
    one, two = digest(registry, "g1"), digest(registry, "g2")
    assert one != two
    assert digest(registry, "latest") == two
    assert digest(registry, first.key) == one
    assert digest(registry, second.key) == two
    for lock, specification, expected in (
        (make_lock("a"), specifications[0], one),
        (make_lock("b"), specifications[1], two),
    ):
        for sha256 in (lock.hash, specification):
            for length in (8, 12, 64):
                assert digest(registry, sha256[:length]) == expected
    assert digest(registry, two) == two


def test_a_key_with_a_plus_is_escaped(registry: RunningRegistry) -> None:
    made = registry.submit("My+env")
    registry.solve(made.build_id, make_lock("a"))
    registry.complete(made.build_id)
    registry.make_image(made.build_id)
    name = "x--xx4dy--x2benv"
    tag = encode_tag(made.key)
    assert tag is not None
    assert "+" not in tag
    assert digest(registry, tag, name) == digest(registry, "latest", name)
    assert tag in registry.http.get(f"/v2/{name}/tags/list").json()["tags"]


def test_a_specification_hash_means_its_newest_completed_build(registry: RunningRegistry) -> None:
    first = registry.submit("env")
    registry.solve(first.build_id, make_lock("a"))
    registry.complete(first.build_id)
    registry.make_image(first.build_id)
    specification = first.key[:8]
    one = digest(registry, specification)
    failed = registry.submit("env")
    registry.solve(failed.build_id, make_lock("a"))
    registry.fail(failed.build_id, "the disk burned")
    assert digest(registry, specification) == one
    newer = registry.submit("env")
    registry.solve(newer.build_id, make_lock("b"))
    registry.complete(newer.build_id)
    registry.make_image(newer.build_id)
    assert digest(registry, specification) != one
    assert digest(registry, make_lock("a").hash) == one


def test_a_lock_hash_keeps_its_image_when_the_base_changes(registry: RunningRegistry) -> None:
    first = registry.submit("env")
    registry.solve(first.build_id, make_lock("a"))
    registry.complete(first.build_id)
    registry.make_image(first.build_id, {"base": b"old"})
    old = digest(registry, make_lock("a").hash)
    again = registry.submit("env")
    registry.solve(again.build_id, make_lock("a"))
    registry.complete(again.build_id)
    registry.plan = "plan of another base"
    registry.make_image(again.build_id, {"base": b"new"})
    assert digest(registry, "latest") != old
    assert digest(registry, make_lock("a").hash) == old


def test_a_failed_build_gives_the_solvers_words(registry: RunningRegistry) -> None:
    made = registry.submit("env")
    registry.solve(made.build_id)
    words = (
        "Cannot solve the request because of:\n└─ numpy 99.* cannot be installed:   \n\n   no candidates were found\n"
    )
    registry.fail(made.build_id, words)
    for tag in ("latest", "g1", made.key, made.key[:8]):
        said = message(registry, tag)
        assert "failed" in said
        assert "\n└─ numpy 99.* cannot be installed:\n   no candidates were found" in said
        assert registry.http.head(f"/v2/env/manifests/{tag}").status_code == 404


def test_a_failed_image_gives_its_reason(registry: RunningRegistry) -> None:
    made = registry.submit("env")
    registry.solve(made.build_id, make_lock("a"))
    registry.complete(made.build_id)
    registry.fail_image(made.build_id, "there are no images for the platform win-64")
    assert "no images for the platform win-64" in message(registry, "latest")


def test_after_a_rollback_latest_is_the_older_build(registry: RunningRegistry) -> None:
    from condarium.database import builds, environments

    made = []
    for package in ("a", "b"):
        build = registry.submit("env", package=package)
        registry.solve(build.build_id, make_lock(package))
        registry.complete(build.build_id)
        registry.make_image(build.build_id)
        made.append(build.build_id)
    with registry.database.transaction() as session:
        environment = environments.load(session, "default", "env", lock=True)
        environments.roll_back(session, environment, builds.load(session, made[0]), actor="test")
    assert digest(registry, "latest") == digest(registry, "g1") != digest(registry, "g2")


def test_a_deleted_environment_is_gone_with_all_its_tags(registry: RunningRegistry) -> None:
    from condarium.database import environments

    made = registry.submit("env")
    registry.solve(made.build_id, make_lock("a"))
    registry.complete(made.build_id)
    image = f"sha256:{registry.make_image(made.build_id)}"
    with registry.database.transaction() as session:
        environments.delete(session, environments.load(session, "default", "env", lock=True), actor="test")
    for reference in ("latest", "g1", image):
        reply = registry.http.get(f"/v2/env/manifests/{reference}")
        assert reply.status_code == 404
        assert reply.json()["errors"][0]["code"] == "NAME_UNKNOWN"


def test_an_ambiguous_prefix_is_told_with_its_candidates(registry: RunningRegistry) -> None:
    # two locks whose hashes begin alike are not to be had, so the rows are bent
    from sqlalchemy import text

    for package in ("a", "b"):
        made = registry.submit("env", package=package)
        registry.solve(made.build_id, make_lock(package))
        registry.complete(made.build_id)
    with registry.database.transaction() as session:
        for number, package in enumerate("ab"):
            query = text("update locks set sha256 = :new where sha256 = :old")
            session.execute(query, {"new": f"12345678{number}" + "0" * 55, "old": make_lock(package).hash})
    said = message(registry, "12345678")
    assert "ambiguous" in said
    assert "123456780 (lock)" in said
    assert "123456781 (lock)" in said


def test_build_keys_are_those_of_conda_store() -> None:
    assert parse_tag(build_key("0123abcd" * 8, 170, 12, "env")) == BuildKey("0123abcd", 170, 12, "env")

"""What settings make of a specification at submission: filled in, added to, refused; hashed and kept as it is built."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from condarium.conda import matchspec
from condarium.database import Database, builds, namespaces, settings
from condarium.database.settings import GLOBAL, Place
from condarium.database.tables import Build, Specification
from condarium.domain import specification
from condarium.domain.settings import check_changes
from condarium.errors import Conflict, PolicyError, SpecificationError
from condarium.work import policy
from condarium.work.submission import Submitted, submit, submit_again
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.patience import CLIENT_SECONDS
from tests.fixtures.registry import TOKEN, RunningRegistry

Set = Callable[..., None]
EVIL = "https://evil.example/c"


def text(**more: Any) -> str:
    return json.dumps({"name": "env", "channels": ["conda-forge"], "dependencies": ["python"], **more})


@pytest.fixture
def put(database: Database) -> Set:
    """`put("team", "env", key=value)`; names left out are the levels above."""

    def change(namespace: str = "", environment: str = "", **values: Any) -> None:
        with database.transaction() as session:
            space = namespaces.ensure(session, namespace, actor="test") if namespace else None
            place = Place(space.id, environment) if space else GLOBAL
            current = settings.effective(session, place, deployment={})
            changes = check_changes(values, place.level, current, check_match_spec=matchspec.check)
            settings.change(session, place, changes, actor="test")

    return change


@pytest.fixture
def post(database: Database) -> Callable[..., Submitted]:
    def submitted(namespace: str = "team", deployment: dict[str, Any] | None = None, **more: Any) -> Submitted:
        wanted = specification.parse(text(**more), check_match_spec=matchspec.check, may_be_empty=True)
        with database.transaction() as session:
            return submit(session, wanted, namespace=namespace, actor="test", source="api", deployment=deployment or {})

    return submitted


Post = Callable[..., Submitted]


@pytest.fixture
def stored(database: Database) -> Callable[[Submitted], tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """The wire form and the canonical one of a build's specification, and its settings."""

    def read(made: Submitted) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        with database.transaction() as session:
            row = builds.load(session, made.build_id)
            return row.specification.spec, row.specification.canonical, row.settings

    return read


Stored = Callable[[Submitted], tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]


def test_default_channels_are_those_of_a_specification_that_names_none(put: Set, post: Post, stored: Stored) -> None:
    put("team", conda_default_channels=["mine", "conda-forge"])
    assert stored(post(channels=[]))[0]["channels"] == ["mine", "conda-forge"]
    assert stored(post(channels=["bioconda"]))[0]["channels"] == ["bioconda"]
    assert stored(post(channels=["nodefaults"]))[0]["channels"] == ["nodefaults"]


def test_only_allowed_channels_may_be_named_however_they_are_written(put: Set, post: Post) -> None:
    put("", conda_allowed_channels=["conda-forge", "https://ok.example/c"])
    for channels in (["conda-forge"], ["https://conda.anaconda.org/conda-forge/"], ["https://ok.example/c"]):
        post(channels=channels)
    for more in (
        {"channels": ["conda-forge", EVIL]},
        {"channels": ["conda-forge/label/dev"]},
        {"dependencies": [f"{EVIL}::python"]},
        {"dependencies": [f"python[channel='{EVIL}']"]},
        {"dependencies": [f"conda-forge::python[channel='{EVIL}']"]},
        {"dependencies": [f"{EVIL}/linux-64::python"]},
        {"dependencies": [f"{EVIL}/linux-64/python-3.11-0.conda"]},
        {"dependencies": [f"python[url='{EVIL}/linux-64/python-3.11-0.conda']"]},
    ):
        with pytest.raises(PolicyError) as caught:
            post(**more)
        assert "allowed here are conda-forge, https://ok.example/c (setting conda_allowed_channels)" in str(
            caught.value
        )
    with pytest.raises(PolicyError, match="the channels a, b are not allowed"):
        post(channels=["a", "conda-forge", "b"])


def test_names_of_channels_are_told_apart_by_the_alias(put: Set, post: Post, stored: Stored) -> None:
    put("team", conda_channel_alias="https://mirror.example", conda_allowed_channels=["conda-forge"])
    spec, canonical, engine = stored(post())
    assert canonical["options"] == {"channel_alias": "https://mirror.example"}
    assert engine["conda_channel_alias"] == "https://mirror.example"
    assert spec["channels"] == ["conda-forge"]
    with pytest.raises(PolicyError):
        post(channels=["https://conda.anaconda.org/conda-forge"])


def test_a_nearer_alias_does_not_change_which_channels_are_allowed(put: Set, post: Post) -> None:
    put("team", conda_channel_alias="https://evil.example")
    put(conda_allowed_channels=["conda-forge"])
    for channel in ("conda-forge", "https://evil.example/conda-forge"):
        with pytest.raises(PolicyError):
            post(channels=[channel])
    post(channels=["https://conda.anaconda.org/conda-forge"])


def test_default_packages_are_those_of_a_specification_without_any(put: Set, post: Post, stored: Stored) -> None:
    with pytest.raises(SpecificationError, match="dependencies: there are none"):
        post(dependencies=[])
    put("team", conda_default_packages=["python >=3.11", "pip"], pypi_default_packages=["flask"])
    assert stored(post(dependencies=[]))[0]["dependencies"] == ["python >=3.11", "pip", {"pip": ["flask"]}]
    assert stored(post(dependencies=["zlib"]))[0]["dependencies"] == ["zlib", {"pip": ["flask"]}]
    with pytest.raises(SpecificationError, match="a pip section alone has no Python"):
        post(dependencies=[{"pip": ["django"]}])


def test_included_packages_are_added_unless_they_are_named(put: Set, post: Post, stored: Stored) -> None:
    put("team", conda_included_packages=["ipykernel >=6", "Python"], pypi_included_packages=["Flask_Login"])
    spec = stored(post(dependencies=["python=3.11", {"pip": ["django"]}]))[0]
    assert spec["dependencies"] == ["python=3.11", "ipykernel >=6", {"pip": ["django", "flask-login"]}]
    spec = stored(post(dependencies=["conda-forge::ipykernel", "python", {"pip": ["flask.login>2"]}]))[0]
    assert spec["dependencies"] == ["conda-forge::ipykernel", "python", {"pip": ["flask-login>2"]}]


def test_required_packages_are_named_when_they_are_missing(put: Set, post: Post) -> None:
    put("team", conda_required_packages=["ipykernel", "pip >=23"])
    with pytest.raises(PolicyError, match=r"the packages ipykernel, pip >=23 must be in the dependencies \(setting"):
        post()
    with pytest.raises(PolicyError, match=r"the package pip >=23 must be in .* conda_required_packages"):
        post(dependencies=["conda-forge::ipykernel=6"])
    post(dependencies=["ipykernel", "PIP"])
    put("team", conda_included_packages=["pip", "ipykernel"], pypi_required_packages=["flask>1"])
    with pytest.raises(PolicyError, match=r"the package flask>1 must be in the pip section"):
        post()
    post(dependencies=["python", {"pip": ["Flask"]}])


def test_platforms_are_those_of_the_settings_and_no_others(put: Set, post: Post, stored: Stored) -> None:
    put("team", conda_solve_platforms=["linux-64", "osx-arm64"])
    assert stored(post())[0]["platforms"] == ["linux-64", "osx-arm64"]
    assert stored(post(platforms=["win-64"]))[0]["platforms"] == ["win-64"]
    put("", conda_platforms=["linux-64", "osx-arm64", "noarch"])
    post()
    with pytest.raises(PolicyError, match=r"nothing is built for win-64 here; the platforms are linux-64, osx-arm64 "):
        post(platforms=["win-64"])


def test_what_the_engine_goes_by_is_kept_with_the_build(put: Set, post: Post, stored: Stored) -> None:
    put("", conda_max_solve_time=7)
    put("team", virtual_packages={"linux-64": ["__cuda=12"], "osx-64": ["__osx=14"]}, build_artifacts=["LOGS"])
    put("team", "env", link_scripts=True)
    made = post()
    put("", conda_max_solve_time=8)
    put("team", virtual_packages=None, build_artifacts=None)
    put("team", "env", link_scripts=None)
    _, canonical, engine = stored(made)
    assert canonical["options"] == {"link_scripts": True, "virtual_packages": {"linux-64": ["__cuda=12=0"]}}
    assert engine == {
        "conda_max_solve_time": 7,
        "virtual_packages": {"linux-64": ["__cuda=12=0"], "osx-64": ["__osx=14=0"]},
        "link_scripts": True,
        "build_artifacts": ["LOGS"],
    }
    assert stored(post())[2] == {"conda_max_solve_time": 8}


def test_settings_of_images_are_kept_with_the_build_and_change_no_hash(put: Set, post: Post, stored: Stored) -> None:
    _, plain, _ = stored(post())
    put("", image_user="1000:1000", image_labels={"org.example.team": "blue"})
    put("team", image_workdir="/srv")
    put("team", "env", image_base="debian")
    _, canonical, engine = stored(post())
    assert canonical == plain
    assert engine == {
        "image_base": "debian",
        "image_user": "1000:1000",
        "image_workdir": "/srv",
        "image_labels": {"org.example.team": "blue"},
    }


def test_what_is_built_is_what_is_hashed(database: Database, put: Set, post: Post) -> None:
    def sha256(made: Submitted) -> str:
        with database.transaction() as session:
            return builds.load(session, made.build_id).specification.sha256

    plain = specification.parse(text(), check_match_spec=matchspec.check).hash
    assert sha256(post()) == plain
    seen = {plain}
    for values in (
        {"conda_included_packages": ["zlib"]},
        {"conda_solve_platforms": ["linux-64", "osx-64"]},
        {"virtual_packages": {"linux-64": ["__cuda=12"]}},
        {"virtual_packages": {"linux-64": ["__cuda=13"]}},
        {"conda_channel_alias": EVIL},
        {"link_scripts": True},
    ):
        put("team", **values)
        found = sha256(post())
        assert found not in seen
        seen.add(found)
        put("team", **dict.fromkeys(values))
        assert sha256(post()) == plain
    # What changes no byte changes no hash: how long a solve may take, what is made, a platform that nobody asks for.
    put("", conda_max_solve_time=9)
    put("team", build_artifacts=["LOGS"], virtual_packages={"osx-64": ["__osx=15"]}, conda_solve_platforms=["linux-64"])
    assert sha256(post()) == plain
    # Spelled out, it is the same as left to the settings.
    put("team", conda_default_channels=["conda-forge"], conda_default_packages=["python"])
    assert sha256(post(channels=[], dependencies=[])) == plain


def test_a_later_change_does_not_reach_a_queued_build_and_another_post_has_it(
    put: Set, post: Post, stored: Stored
) -> None:
    put("team", conda_included_packages=["zlib"])
    first = post()
    put("team", conda_included_packages=["pip"])
    second = post()
    assert stored(first)[0]["dependencies"] == ["python", "zlib"]
    assert stored(second)[0]["dependencies"] == ["python", "pip"]


def test_another_build_of_the_same_is_the_same_unless_it_is_forbidden_now(
    database: Database, put: Set, post: Post, stored: Stored
) -> None:
    put("team", conda_included_packages=["zlib"], virtual_packages={"linux-64": ["__cuda=12"]})
    first = post()
    put("team", conda_included_packages=["pip"], virtual_packages=None)

    def again() -> Submitted:
        with database.transaction() as session:
            return submit_again(session, builds.load(session, first.build_id), actor="test", source="api")

    assert stored(again()) == stored(first)
    put("", conda_allowed_channels=["elsewhere"])
    with pytest.raises(PolicyError, match="conda-forge is not allowed"):
        again()
    with database.transaction() as session, pytest.raises(PolicyError):
        policy.readmit(session, builds.load(session, first.build_id))


def test_settings_hold_in_their_own_namespace_and_environment(put: Set, post: Post, stored: Stored) -> None:
    put("team", conda_included_packages=["zlib"])
    put("team", "special", conda_included_packages=["pip"])
    assert stored(post())[0]["dependencies"] == ["python", "zlib"]
    assert stored(post(name="special"))[0]["dependencies"] == ["python", "pip"]
    assert stored(post("other"))[0]["dependencies"] == ["python"]
    assert stored(post("other", name="special"))[0]["dependencies"] == ["python"]


def test_the_deployment_is_the_farthest_level(put: Set, post: Post, stored: Stored) -> None:
    deployment = {"conda_default_channels": ["mine"], "conda_required_packages": ["pip"], "conda_max_solve_time": 5}
    with pytest.raises(PolicyError, match="the package pip must be"):
        post(deployment=deployment)
    put("team", conda_required_packages=[])
    spec, _, engine = stored(post(deployment=deployment, channels=[]))
    assert (spec["channels"], engine["conda_max_solve_time"]) == (["mine"], 5)


def test_what_is_refused_leaves_nothing(database: Database, put: Set, post: Post) -> None:
    put("", conda_allowed_channels=["elsewhere"])
    with pytest.raises(PolicyError):
        post("new-namespace")
    with database.transaction() as session:
        assert namespaces.find(session, "new-namespace") is None
        assert list(session.execute(select(Build.id))) == list(session.execute(select(Specification.id))) == []


def test_rest_says_it_with_400_and_the_setting(gateway: RunningGateway) -> None:
    admin = gateway.admin
    first = gateway.post("env", namespace="team")
    assert admin.put("/api/v1/setting/team/", json={"conda_allowed_channels": ["mine"]}).status_code == 200
    said = "the channel conda-forge is not allowed; allowed here are mine (setting conda_allowed_channels)"
    for reply in (
        admin.post("/api/v1/specification/", json={"specification": text(), "namespace": "team"}),
        admin.put(f"/api/v1/build/{first}/"),
    ):
        assert (reply.status_code, reply.json()["message"], reply.json()["code"]) == (400, said, "policy")
    body = {"specification": "name: none\n", "namespace": "team"}
    reply = admin.post("/api/v1/specification/", json=body)
    assert (reply.status_code, reply.json()["message"]) == (
        400,
        "dependencies: there are none; write at least one, such as `- python`",
    )
    admin.put("/api/v1/setting/team/", json={"conda_default_packages": ["python"], "conda_default_channels": ["mine"]})
    made = admin.post("/api/v1/specification/", json=body).json()["data"]["build_id"]
    shown = admin.get(f"/api/v1/build/{made}/").json()["data"]["specification"]["spec"]
    assert (shown["channels"], shown["dependencies"]) == (["mine"], ["python"])


def test_a_pull_by_packages_is_held_to_the_settings_too(registry: RunningRegistry) -> None:
    import httpx

    with registry.database.transaction() as session:
        space = namespaces.ensure(session, "dynamic", actor="test", reserved=True)
        settings.change(session, Place(space.id), {"conda_required_packages": ["python"]}, actor="test")

    def pull(name: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.get(
            f"http://{registry.address}/v2/dynamic/{name}/manifests/latest", headers=headers, timeout=CLIENT_SECONDS
        )

    reply = pull("numpy")
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (403, "DENIED")
    assert "the package python must be in the dependencies" in reply.json()["errors"][0]["message"]


def test_a_canceled_build_is_queued_again_only_as_settings_allow(gateway: RunningGateway) -> None:
    build = gateway.post("env", namespace="team")
    gateway.admin.put(f"/api/v1/build/{build}/cancel/")
    gateway.admin.put("/api/v1/setting/team/", json={"conda_required_packages": ["zlib"]})
    reply = gateway.admin.put(f"/api/v1/build/{build}/retry/")
    assert (reply.status_code, reply.json()["code"]) == (400, "policy")
    gateway.admin.put("/api/v1/setting/team/", json={"conda_required_packages": None})
    assert gateway.admin.put(f"/api/v1/build/{build}/retry/").status_code == 200
    assert gateway.admin.put(f"/api/v1/build/{build}/retry/").status_code == Conflict.status


@pytest.mark.parametrize(
    "dependency",
    [
        "conda-forge::python[channel='file:///etc']",
        "conda-forge::python[channel='/etc']",
        "conda-forge::python[url='file:///etc/python-3-0.conda']",
        "conda-forge::python[channel='https://u:hush@host/c']",
    ],
)
def test_a_second_channel_in_brackets_is_checked_as_the_first(post: Post, dependency: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        post(dependencies=[dependency])
    assert "hush" not in str(caught.value)

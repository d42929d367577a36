"""Settings: built in < deployment < global < namespace < environment, checked, kept apart, and with a history."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from condarium.conda import matchspec
from condarium.domain.deployment import Deployment
from condarium.domain.settings import Level, check_changes, merge
from condarium.domain.settings.keys import KEYS
from condarium.errors import ConfigError, InvalidInput
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.patience import CLIENT_SECONDS

#: conda-store's, in its order
CONDA_STORE = [
    "default_namespace",
    "filesystem_namespace",
    "default_uid",
    "default_gid",
    "default_permissions",
    "storage_threshold",
    "conda_command",
    "conda_platforms",
    "conda_max_solve_time",
    "conda_indexed_channels",
    "build_artifacts_kept_on_deletion",
    "conda_solve_platforms",
    "conda_channel_alias",
    "conda_default_channels",
    "conda_allowed_channels",
    "conda_default_packages",
    "conda_required_packages",
    "conda_included_packages",
    "pypi_default_packages",
    "pypi_required_packages",
    "pypi_included_packages",
    "build_artifacts",
]


@pytest.fixture
def api(gateway: RunningGateway) -> RunningGateway:
    """With the namespaces team and other."""
    for name in ("team", "other"):
        assert gateway.admin.post(f"/api/v1/namespace/{name}/").status_code == 200
    return gateway


def admin_of(api: RunningGateway, namespace: str) -> httpx.Client:
    """A client of an administrator of one namespace."""
    body = {"primary_namespace": namespace, "role_bindings": {f"{namespace}/*": ["admin"]}}
    reply = api.admin.post("/api/v1/token/", json=body)
    assert reply.status_code == 200, reply.text
    token = reply.json()["data"]["token"]
    return httpx.Client(base_url=api.address, headers={"Authorization": f"Bearer {token}"}, timeout=CLIENT_SECONDS)


def settings(api: RunningGateway, place: str = "") -> dict[str, Any]:
    reply = api.admin.get(f"/api/v1/setting/{place}")
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


def put(client: httpx.Client, place: str, **values: Any) -> httpx.Response:
    return client.put(f"/api/v1/setting/{place}", json=values)


def test_all_of_conda_stores_keys_are_there_in_its_order(api: RunningGateway) -> None:
    assert list(settings(api))[: len(CONDA_STORE)] == CONDA_STORE
    assert list(settings(api)) == list(KEYS)


def test_the_nearest_level_holds_whole_and_a_value_can_be_taken_back(api: RunningGateway) -> None:
    key = "conda_default_channels"
    for place, channels in (("", ["a"]), ("team/", ["b", "c"]), ("team/env/", ["d"])):
        reply = put(api.admin, place, **{key: channels})
        assert reply.json() == {"status": "ok", "data": None, "message": f"global setting keys ['{key}'] updated"}
    seen = [settings(api, place)[key] for place in ("", "team/", "team/env/", "team/more/", "other/")]
    assert seen == [["a"], ["b", "c"], ["d"], ["b", "c"], ["a"]]
    put(api.admin, "team/env/", **{key: None})
    put(api.admin, "team/", **{key: None})
    assert settings(api, "team/env/")[key] == ["a"]


def test_the_message_names_the_keys_in_the_order_they_came(api: RunningGateway) -> None:
    reply = put(api.admin, "", conda_max_solve_time=10, conda_command="conda")
    assert reply.json()["message"] == "global setting keys ['conda_max_solve_time', 'conda_command'] updated"


def test_a_key_that_cannot_be_set_there_is_told(api: RunningGateway) -> None:
    globally = "is a global setting and cannot be set within a namespace or environment"
    for place, values, message in (
        ("", {"bogus": 1}, "Invalid setting keys {'bogus'}"),
        ("team/", {"b": 1, "a": 2, "conda_command": "x"}, "Invalid setting keys {'a', 'b'}"),
        ("team/", {"conda_command": "x"}, f"Setting conda_command {globally}"),
        ("team/env/", {"conda_max_solve_time": 5}, f"Setting conda_max_solve_time {globally}"),
        (
            "team/env/",
            {"quota_builds": 5},
            "Setting quota_builds is a setting of a namespace and cannot be set within an environment",
        ),
    ):
        reply = put(api.admin, place, **values)
        assert (reply.status_code, reply.json()["message"]) == (400, message)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("conda_max_solve_time", "long", "found 'long'; allowed is seconds from 1 to 3600"),
        ("conda_max_solve_time", 0, "found 0; allowed is seconds"),
        ("conda_max_solve_time", True, "found True"),
        ("storage_threshold", -1, "found -1; allowed is a whole number"),
        ("storage_threshold", 1.5, "found 1.5"),
        ("conda_default_channels", "conda-forge", "allowed is a list of channels"),
        ("conda_default_channels", [1], "allowed is a list of channels"),
        ("conda_default_channels", ["not a channel"], "'not a channel' is no channel"),
        ("conda_allowed_channels", ["https://u:hush@host/c"], "credential"),
        ("conda_channel_alias", "conda-forge", "an address that begins with https://"),
        ("conda_channel_alias", "https://u:hush@host", "without a credential"),
        ("conda_channel_alias", 3, "text of at most"),
        ("conda_default_packages", ["python >>= 3"], "'python >>= 3' is not a match spec"),
        ("conda_required_packages", ["py*"], "is not a match spec"),
        ("conda_included_packages", [""], "no entry is empty"),
        ("conda_included_packages", ["a"] * 300, "at most 256 entries"),
        ("pypi_default_packages", ["-r x.txt"], "found the option '-r'"),
        ("pypi_included_packages", ["flask >> 1"], "is not a requirement"),
        ("conda_solve_platforms", ["linux-65"], "allowed is a list of platforms out of linux-64"),
        ("conda_solve_platforms", [], "at least one of the platforms"),
        ("conda_platforms", ["mars"], "noarch"),
        ("build_artifacts", ["CONTAINER"], "allowed is a list of artifacts out of LOCKFILE"),
        ("virtual_packages", ["__cuda=12"], "an object of lists by platform"),
        ("virtual_packages", {"linux-65": ["__cuda=12"]}, "with platforms out of"),
        ("virtual_packages", {"linux-64": ["cuda=12"]}, "'cuda=12' is no virtual package"),
        ("virtual_packages", {"linux-64": ["__cuda=1", "__cuda=2"]}, "__cuda is there twice"),
        ("virtual_packages", {"linux-64": "__cuda"}, "an object of lists"),
        ("link_scripts", "yes", "allowed is true or false"),
        ("image_base", "../x", "a name of at most 64"),
        ("image_user", "root; rm", "a user, or a user and a group"),
        ("image_user", "1000:", "such as '1000:1000'"),
        ("image_workdir", "srv", "an absolute path"),
        ("image_workdir", "/srv/../etc", "without . and .."),
        ("image_workdir", "/$HOME", "of letters, digits"),
        ("image_labels", ["a"], "an object of texts"),
        ("image_labels", {"a": 1}, "an object of texts"),
        ("image_labels", {"a b": "1"}, "'a b' is no name of a label"),
        ("image_labels", {"condarium.lock": "x"}, "Condarium's own"),
        ("quota_builds", "many", "allowed is a whole number"),
        ("quota_bytes", 2**62, "allowed is a whole number"),
        ("default_uid", 1000, "stays None: files belong to the builder's own user"),
        ("default_permissions", "777", "stays '755'"),
        ("default_permissions", "rwx", "three octal digits"),
        ("default_namespace", "mine", "CONDARIUM_DEFAULT_NAMESPACE"),
        ("filesystem_namespace", "mine", "CONDARIUM_WATCHER_DIRECTORIES"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(key: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_changes({key: value}, Level.GLOBAL, merge({}), check_match_spec=matchspec.check)
    assert f"etting {key}" in str(caught.value)
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_one_wrong_value_keeps_all_from_being_set(api: RunningGateway) -> None:
    before = settings(api)
    reply = put(api.admin, "", conda_command="changed", conda_required_packages=["python >>= 3"])
    assert reply.status_code == 400
    assert "Invalid value for setting conda_required_packages" in reply.json()["message"]
    assert settings(api) == before


def test_what_was_read_can_be_put_back_as_it_is(api: RunningGateway) -> None:
    reply = put(api.admin, "", **{key: value for key, value in settings(api).items() if value is not None})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("key", "value", "normal"),
    [
        ("virtual_packages", {"linux-64": ["__cuda=12.4", "__glibc"]}, {"linux-64": ["__cuda=12.4=0", "__glibc=0=0"]}),
        ("virtual_packages", {"linux-64": []}, {}),
        ("conda_default_channels", ["https://host/c/", "a", "a"], ["https://host/c", "a"]),
        ("pypi_default_packages", ["Flask_Login >= 2"], ["flask-login>=2"]),
        ("conda_channel_alias", "https://host/", "https://host"),
        ("conda_max_solve_time", 30.0, 30),
    ],
)
def test_values_have_one_normal_form(key: str, value: Any, normal: Any) -> None:
    changes = check_changes({key: value}, Level.GLOBAL, merge({}), check_match_spec=matchspec.check)
    assert changes == {key: normal}
    assert check_changes(changes, Level.GLOBAL, merge({}), check_match_spec=matchspec.check) == changes


def test_settings_of_a_namespace_leak_nowhere(api: RunningGateway) -> None:
    before = {place: settings(api, place) for place in ("", "other/", "other/env/")}
    put(api.admin, "team/", conda_required_packages=["secret-thing"], virtual_packages={"linux-64": ["__cuda=1"]})
    put(api.admin, "team/env/", conda_channel_alias="https://team.example")
    assert {place: settings(api, place) for place in before} == before
    with admin_of(api, "other") as other:
        for path in ("setting", "setting-origin", "setting-history"):
            assert other.get(f"/api/v1/{path}/team/").status_code == 403
            assert other.get(f"/api/v1/{path}/team/env/").status_code == 403
            assert other.get(f"/api/v1/{path}/").status_code == 403
            assert "secret-thing" not in other.get(f"/api/v1/{path}/other/").text


def test_a_namespace_that_is_made_again_has_none_of_the_old_settings(api: RunningGateway) -> None:
    put(api.admin, "team/", conda_required_packages=["numpy"])
    put(api.admin, "team/env/", conda_required_packages=["pandas"])
    assert api.admin.delete("/api/v1/namespace/team/").status_code == 200
    assert api.admin.post("/api/v1/namespace/team/").status_code == 200
    assert settings(api, "team/env/")["conda_required_packages"] == []
    assert api.admin.get("/api/v1/setting-history/team/").json()["data"] == []


def test_who_changed_what_when_from_what_to_what(api: RunningGateway) -> None:
    with admin_of(api, "team") as team:
        assert put(team, "team/", conda_default_packages=["python"]).status_code == 200
    put(api.admin, "team/", conda_default_packages=["python", "numpy"], conda_included_packages=[])
    put(api.admin, "team/", conda_default_packages=["python", "numpy"])
    put(api.admin, "team/", conda_default_packages=None)
    rows = api.admin.get("/api/v1/setting-history/team/").json()["data"]
    mine = [row for row in rows if row["key"] == "conda_default_packages"]
    assert [(row["from"], row["to"]) for row in mine] == [
        (["python", "numpy"], None),
        (["python"], ["python", "numpy"]),
        (None, ["python"]),
    ]
    assert mine[0]["changed_by"] == "admin"
    older = api.admin.get(f"/api/v1/setting-history/team/?limit=1&before={mine[0]['id']}").json()["data"]
    assert [row["id"] for row in older] == [max(row["id"] for row in rows if row["id"] < mine[0]["id"])]
    audit = api.admin.get("/api/v1/audit/").text
    assert "change_settings" in audit
    assert "conda_default_packages" in audit


def test_where_a_value_comes_from_is_told(api: RunningGateway) -> None:
    put(api.admin, "team/", conda_default_packages=["python"])
    rows = {row["key"]: row for row in api.admin.get("/api/v1/setting-origin/team/env/").json()["data"]}
    assert list(rows) == list(KEYS)
    row = rows["conda_default_packages"]
    assert (row["level"], row["value"], row["changed_by"]) == ("namespace", ["python"], "admin")
    assert (rows["conda_command"]["level"], rows["conda_command"]["changed_by"]) == ("built in", None)


def test_a_namespaces_administrator_narrows_and_does_not_widen(api: RunningGateway) -> None:
    put(api.admin, "", conda_allowed_channels=["conda-forge", "bioconda"], conda_required_packages=["python"])
    with admin_of(api, "team") as team:
        assert put(team, "team/", conda_allowed_channels=["conda-forge"]).status_code == 200
        assert put(team, "team/", conda_required_packages=["python", "numpy"]).status_code == 200
        assert put(team, "team/", virtual_packages={"linux-64": ["__cuda=12"]}).status_code == 200
        for values in (
            {"conda_allowed_channels": []},
            {"conda_allowed_channels": ["conda-forge", "evil"]},
            {"conda_channel_alias": "https://evil.example"},
            {"conda_required_packages": ["numpy"]},
            {"link_scripts": True},
            {"quota_builds": 1000},
        ):
            reply = put(team, "team/", **values)
            assert reply.status_code == 403, (values, reply.text)
        assert put(team, "", conda_command="x").status_code == 403
        assert put(team, "other/", conda_default_packages=[]).status_code == 403
        assert team.put("/api/v1/namespace/team/quota", json={"builds": 5}).status_code == 403
        # What the installation has widened here, the namespace may use in its own way.
        put(api.admin, "team/", conda_allowed_channels=["conda-forge", "evil"])
        assert put(team, "team/", conda_allowed_channels=["evil"]).status_code == 200


def test_a_namespace_that_is_not_there_has_no_settings(api: RunningGateway) -> None:
    for reply in (api.admin.get("/api/v1/setting/nobody/"), put(api.admin, "nobody/x/", conda_default_packages=[])):
        assert (reply.status_code, reply.json()["message"]) == (404, "namespace does not exist")
    assert put(api.admin, "team/-bad-/", conda_default_packages=[]).status_code == 400
    assert api.admin.put("/api/v1/setting/", json=[1]).status_code == 422


def deployment(**changes: Any) -> Deployment:
    values: dict[str, Any] = {
        "default_namespace": "default",
        "channel_alias": "https://alias.example",
        "default_channels": ("mine",),
        "platforms": ("linux-64", "osx-arm64"),
        "virtual_packages": {"linux-64": ("__glibc=2.31",)},
        "link_scripts": False,
        "builder_solve_limit_seconds": 60.0,
        "artifacts": ("LOGS",),
        "settings": {"conda_required_packages": ["python"]},
    }
    return Deployment(**values | changes)


def test_the_deployment_stands_between_what_is_built_in_and_what_is_set() -> None:
    given = deployment().checked(matchspec.check)
    found = merge({Level.DEPLOYMENT: given, Level.GLOBAL: {"conda_default_channels": ["set"]}})
    assert found["conda_channel_alias"] == "https://alias.example"
    assert found["virtual_packages"] == {"linux-64": ["__glibc=2.31=0"]}
    assert found["conda_max_solve_time"] == 60
    assert found["conda_default_channels"] == ["set"]
    assert found.origins["conda_required_packages"] == Level.DEPLOYMENT
    assert found.find("conda_command") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"platforms": ("linux-65",)}, "CONDARIUM_PLATFORMS: Invalid value for setting conda_solve_platforms"),
        ({"virtual_packages": {"linux-64": ("cuda",)}}, "CONDARIUM_VIRTUAL_PACKAGES"),
        ({"artifacts": ("TARBALL",)}, "CONDARIUM_ARTIFACTS"),
        ({"settings": {"bogus": 1}}, "CONDARIUM_SETTINGS: 'bogus' is not a key"),
        ({"settings": {"conda_required_packages": [">>"]}}, "CONDARIUM_SETTINGS: .* is not a match spec"),
        ({"settings": {"default_uid": 5}}, "default_uid cannot be set"),
        ({"settings": {"link_scripts": True}}, "has a variable of its own, CONDARIUM_LINK_SCRIPTS"),
    ],
)
def test_a_wrong_deployment_stops_the_start(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        deployment(**changes).checked(matchspec.check)


def test_every_key_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs/settings.md").read_text()
    assert [key for key in KEYS if f"`{key}`" not in page] == []

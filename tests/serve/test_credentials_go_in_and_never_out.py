"""Credentials over REST: set by those who may, listed without what they hold, sealed in the database."""

from typing import Any

import psycopg
import pytest

from condarium.database import credentials
from condarium.domain.credential import Kind, RegistryLogin, Use, check_url, covers
from condarium.domain.sealing import CannotOpen, Sealed, Vault
from condarium.errors import InvalidInput
from services.api.__main__ import seal_anew
from tests.fixtures.gateway import RunningGateway

SECRET = "open-sesame-4711"
BASIC = {"kind": "basic", "url": "https://conda.example.org/team", "username": "ali", "password": SECRET}


def put(gateway: RunningGateway, path: str, body: dict[str, Any] | None = None, status: int = 200) -> dict[str, Any]:
    reply = gateway.admin.put(f"/api/v1/credential/{path}/", json=BASIC if body is None else body)
    assert reply.status_code == status, reply.text
    assert SECRET not in reply.text
    return dict(reply.json())


def names(gateway: RunningGateway, path: str = "") -> list[tuple[str | None, str]]:
    reply = gateway.admin.get(f"/api/v1/credential/{path}")
    assert reply.status_code == 200, reply.text
    assert SECRET not in reply.text
    return [(row["namespace"], row["name"]) for row in reply.json()["data"]]


@pytest.fixture
def team(gateway: RunningGateway) -> RunningGateway:
    assert gateway.admin.post("/api/v1/namespace/team/").status_code == 200
    return gateway


def test_what_is_listed_says_everything_but_the_value(team: RunningGateway) -> None:
    shown = put(team, "team/art")["data"]
    assert shown | {"created_on": "", "updated_on": ""} == {
        "name": "art",
        "namespace": "team",
        "kind": "basic",
        "use": "channel",
        "url": "https://conda.example.org/team",
        "readable": True,
        "created_on": "",
        "created_by": "admin",
        "updated_on": "",
        "updated_by": "admin",
    }
    put(team, "art", {"kind": "bearer", "url": "https://conda.example.org", "token": SECRET})
    assert names(team) == [(None, "art"), ("team", "art")]
    assert names(team, "team/") == [("team", "art")]
    assert "ali" not in team.admin.get("/api/v1/credential/").text


def test_it_is_nowhere_in_the_database_as_it_came(team: RunningGateway) -> None:
    put(team, "team/art")
    with psycopg.connect(team.database.url) as connection:
        rows = connection.execute("select credentials::text from credentials").fetchall()
        audit = connection.execute("select audit::text from audit").fetchall()
    assert len(rows) == 1
    assert SECRET not in str(rows) + str(audit)
    assert "ali" not in str(rows)
    (entry,) = [row for row in audit if "credential::update" in row[0]]
    assert "https://conda.example.org/team" in entry[0]


def test_setting_it_again_replaces_it_and_deleting_ends_it(team: RunningGateway) -> None:
    put(team, "team/art")
    put(team, "team/art", BASIC | {"url": "https://other.example.org", "password": "another"})
    with team.database.transaction() as session:
        (found,) = credentials.opened(session, Vault("s3cret"), "team", lambda kind, url: True)
    assert (found.url, found.shown["password"]) == ("https://other.example.org", "another")
    assert team.admin.delete("/api/v1/credential/team/art/").status_code == 200
    assert names(team) == []
    assert team.admin.delete("/api/v1/credential/team/art/").status_code == 404


def test_credentials_end_with_their_namespace(team: RunningGateway) -> None:
    put(team, "team/art")
    assert team.admin.delete("/api/v1/namespace/team/").status_code == 200
    assert team.admin.post("/api/v1/namespace/team/").status_code == 200
    assert names(team) == []
    with psycopg.connect(team.database.url) as connection:
        assert connection.execute("select count(*) from credentials").fetchone() == (0,)


def test_one_url_has_one_credential_of_a_use(team: RunningGateway) -> None:
    put(team, "team/art")
    said = put(team, "team/second", status=409)["message"]
    assert "'art'" in said
    put(team, "team/wheels", BASIC | {"kind": "index_basic"})
    put(team, "second")


WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("team/-x", BASIC, 400, "cannot name a credential"),
    ("nobody/art", BASIC, 404, "namespace does not exist"),
    ("team/art", {}, 422, "Field required"),
    ("team/art", BASIC | {"kind": "ssh"}, 422, "basic"),
    ("team/art", BASIC | {"password": None}, 400, "password is missing"),
    ("team/art", BASIC | {"token": SECRET}, 400, "not token"),
    ("team/art", BASIC | {"password": [SECRET]}, 422, "string"),
    ("team/art", BASIC | {"password": SECRET + "\0"}, 422, "U+0000"),
    ("team/art", BASIC | {"password": SECRET + "\r\nX: y"}, 400, "line ends"),
    ("team/art", BASIC | {"username": "a:b"}, 400, "colon"),
    ("team/art", BASIC | {"kind": "bearer"}, 400, "token is missing"),
    ("team/art", {"kind": "conda_token", "url": "https://x.org", "token": f"{SECRET}/x"}, 400, "part of the path"),
    ("team/art", BASIC | {"url": f"https://ali:{SECRET}@x.org"}, 400, "not shown"),
    ("team/art", BASIC | {"url": f"https://x.org/t/{SECRET}/c"}, 400, "not shown"),
    ("team/art", BASIC | {"url": "ftp://x.org"}, 400, "http(s)"),
    ("team/art", BASIC | {"url": "conda-forge"}, 400, "http(s)"),
    ("team/art", BASIC | {"url": "https://x.org/a?b=c"}, 400, "no plain prefix"),
    ("team/art", BASIC | {"url": "https://x.org/a/../b"}, 400, "no plain prefix"),
    ("team/art", BASIC | {"url": "https://x.org:port/"}, 400, "cannot be read"),
    ("team/art", BASIC | {"url": "https://x.org/" + "a" * 3000}, 400, "too long"),
]


def test_wrong_ones_are_refused_without_repeating_them(team: RunningGateway) -> None:
    for path, body, status, message in WRONG:
        reply = team.admin.put(f"/api/v1/credential/{path}/", json=body)
        assert reply.status_code == status, (body, reply.text)
        assert message in reply.text, (body, reply.text)
        assert SECRET not in reply.text
    assert names(team) == []


def test_who_may_not_is_told_nothing(team: RunningGateway) -> None:
    put(team, "team/art")
    for method, path in (
        ("GET", ""),
        ("GET", "team/"),
        ("GET", "nobody/"),
        ("PUT", "team/art/"),
        ("PUT", "art/"),
        ("DELETE", "team/art/"),
    ):
        body = BASIC if method == "PUT" else None
        assert team.http.request(method, f"/api/v1/credential/{path}", json=body).status_code == 403


def test_a_registry_login_is_that_of_the_longest_prefix(team: RunningGateway) -> None:
    put(team, "hub", {"kind": "registry_token", "url": "https://registry.example.org", "token": "all-of-it"})
    put(
        team,
        "team/base",
        {"kind": "registry_basic", "url": "https://registry.example.org/base", "username": "u", "password": "p"},
    )
    vault = Vault("s3cret")
    with team.database.transaction() as session:

        def find(namespace: str, url: str) -> RegistryLogin | None:
            return credentials.for_registry(session, vault, namespace, url)

        assert find("team", "https://registry.example.org/base/debian") == RegistryLogin("u", "p")
        assert find("team", "https://registry.example.org/based") == RegistryLogin("", "all-of-it")
        assert find("default", "https://registry.example.org/base/debian") == RegistryLogin("", "all-of-it")
        assert find("team", "https://elsewhere.example.org/base") is None


def test_a_changed_secret_opens_what_was_sealed_before_and_seals_it_anew(team: RunningGateway) -> None:
    put(team, "team/art")
    old, new = Vault("s3cret"), Vault("changed", "s3cret")

    def password(vault: Vault) -> str:
        with team.database.transaction() as session:
            return credentials.opened(session, vault, "team", lambda kind, url: True)[0].shown["password"]

    assert password(new) == SECRET
    with team.database.transaction() as session:
        assert credentials.reseal(session, new) == (1, [])
        assert credentials.reseal(session, new) == (0, [])
    assert password(Vault("changed")) == SECRET
    with pytest.raises(Exception, match=r"credential 'art' of namespace team cannot be decrypted.*SECRET_PREVIOUS"):
        password(old)
    # The gateway of this test still runs with the old one.
    assert team.admin.get("/api/v1/credential/").json()["data"][0]["readable"] is False
    seal_anew(team.database, team.gateway.settings)
    with team.database.transaction() as session:
        assert credentials.reseal(session, old) == (0, ["art"])


def test_a_value_does_not_open_for_another_row(team: RunningGateway) -> None:
    """Who can write the table, and nothing else, cannot have a credential sent to a server of their own."""
    put(team, "team/art")
    with psycopg.connect(team.database.url, autocommit=True) as connection:
        connection.execute("update credentials set url = 'https://evil.example.org'")
    with (
        pytest.raises(Exception, match="changed by somebody else"),
        team.database.transaction() as session,
    ):
        credentials.opened(session, Vault("s3cret"), "team", lambda kind, url: True)


def test_sealing_is_never_the_same_twice_and_cannot_be_bent() -> None:
    vault = Vault("a")
    one, two = vault.seal("text", "c"), vault.seal("text", "c")
    assert one.data != two.data
    assert vault.open(one, "c") == vault.open(two, "c") == "text"
    for bent in (Sealed(one.key_id, one.data[:-4] + "AAA="), Sealed(one.key_id, ""), Sealed("x", one.data)):
        with pytest.raises(CannotOpen):
            vault.open(bent, "c")
    assert vault.fingerprint("a", "b") != vault.fingerprint("ab")
    assert vault.fingerprint("a") != Vault("b").fingerprint("a")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("HTTPS://Conda.Example.ORG/Team/", "https://conda.example.org/Team"),
        ("https://x.org:443/a", "https://x.org/a"),
        ("http://x.org:8080", "http://x.org:8080"),
        ("http://[::1]:80/a", "http://[::1]/a"),
    ],
)
def test_a_prefix_has_one_form(text: str, normal: str) -> None:
    assert check_url(text) == normal
    assert check_url(normal) == normal


@pytest.mark.parametrize(
    ("prefix", "url", "covered"),
    [
        ("https://x.org/a", "https://x.org/a", True),
        ("https://x.org/a", "https://x.org/a/b/c", True),
        ("https://x.org/a/", "https://x.org/a/b", True),
        ("https://x.org/a", "https://x.org/ab", False),
        ("https://x.org", "https://x.org.evil.net/a", False),
        ("https://x.org", "http://x.org/a", False),
        ("https://x.org", "https://x.org:8443/a", False),
        ("https://x.org/a", "https://x.org/a/../b", False),
        ("https://x.org/a", "https://x.org/a/%2E%2e/b", False),
    ],
)
def test_what_a_prefix_covers(prefix: str, url: str, covered: bool) -> None:
    assert covers(prefix, url) is covered


def test_every_kind_has_a_use() -> None:
    assert {kind.use for kind in Kind} == set(Use)
    with pytest.raises(InvalidInput):
        check_url("https://user@x.org/")

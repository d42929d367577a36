"""Each job and each artifact is given the credentials that its own addresses need, and no others."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from condarium.conda.channels import ChannelSettings
from condarium.database import Database, credentials, namespaces
from condarium.domain.credential import Kind
from condarium.domain.lock import Record
from condarium.domain.sealing import Vault
from condarium.errors import WorldFault
from condarium.work import channel_access
from condarium.work.child import environment
from tests.fixtures.served import make_lock

VAULT = Vault("a secret of tests")
GIVEN = ChannelSettings(
    mirrors={"mirrored": ("https://m.example.org/mirror",), "other": ("https://u:mirror-password@n.example.org",)},
    credentials={"https://s.example.org/": {"token": "setting-s"}, "https://far.example.org": {"token": "setting-far"}},
)
#: (namespace or "" for the deployment, name, kind, url, what it holds)
ROWS = [
    ("", "wide", Kind.BEARER, "https://x.example.org", {"token": "wide"}),
    ("team", "narrow", Kind.BEARER, "https://x.example.org/team", {"token": "narrow"}),
    ("team", "part", Kind.BEARER, "https://x.example.org/team/sub/linux-64", {"token": "part"}),
    ("team", "same", Kind.BASIC, "https://s.example.org", {"username": "u", "password": "same"}),
    ("team", "mirror", Kind.CONDA_TOKEN, "https://m.example.org", {"token": "mirror"}),
    ("team", "index", Kind.INDEX_TOKEN, "https://pypi.example.org", {"token": "index"}),
    ("team", "registry", Kind.REGISTRY_TOKEN, "https://x.example.org", {"token": "registry"}),
    ("other", "theirs", Kind.BEARER, "https://x.example.org/team", {"token": "theirs"}),
]


@pytest.fixture
def filled(database: Database) -> Database:
    with database.transaction() as session:
        for owner, name, kind, url, values in ROWS:
            namespace = namespaces.ensure(session, owner, actor="test") if owner else None
            credentials.put(
                session, VAULT, namespace=namespace, name=name, kind=kind, url=url, values=values, actor="test"
            )
    return database


def for_channels(database: Database, namespace: str, channels: Sequence[str], **more: object) -> ChannelSettings:
    with database.transaction() as session:
        return channel_access.for_specification(
            session,
            VAULT,
            GIVEN,
            namespace=namespace,
            channels=channels,
            **more,  # type: ignore[arg-type]
        )


def tokens(found: ChannelSettings) -> set[str]:
    items = [*found.credentials.values(), *found.index_credentials.values()]
    return {value for item in items for key, value in item.items() if key != "username"}


@pytest.mark.parametrize(
    ("namespace", "channels", "wanted"),
    [
        ("team", ["conda-forge"], set()),
        ("team", ["https://x.example.org/team/sub"], {"wide", "narrow", "part"}),
        ("team", ["https://x.example.org/public"], {"wide"}),
        ("other", ["https://x.example.org/team/sub"], {"wide", "theirs"}),
        ("nobody", ["https://x.example.org/team/sub"], {"wide"}),
        ("team", ["https://s.example.org/c"], {"same"}),
        ("other", ["https://s.example.org/c"], {"setting-s"}),
        ("team", ["mirrored"], {"mirror"}),
        ("team", ["https://x.example.org.evil.net/team"], set()),
    ],
)
def test_by_channel(filled: Database, namespace: str, channels: list[str], wanted: set[str]) -> None:
    found = for_channels(filled, namespace, channels)
    assert tokens(found) == wanted
    assert bool(found.scope) is bool(wanted)


def test_by_a_channel_that_a_dependency_names(filled: Database) -> None:
    found = for_channels(filled, "team", ["conda-forge"], dependencies=["https://x.example.org/team::python"])
    assert "narrow" in tokens(found)


def test_by_index_and_wheel(filled: Database) -> None:
    index = "https://pypi.example.org/simple"
    assert tokens(for_channels(filled, "team", ["conda-forge"])) == set()
    found = for_channels(filled, "team", ["conda-forge"], index_url=index)
    assert tokens(found) == {"index"}
    assert found.index_url(index) == "https://__token__:index@pypi.example.org/simple"
    assert found.scope == ""
    assert found.index_scope
    found = for_channels(filled, "team", [], wheels=["https://pypi.example.org/files/x-1-py3-none-any.whl"])
    assert tokens(found) == {"index"}


def test_a_mirror_with_a_user_goes_along_only_where_it_is_read(filled: Database) -> None:
    assert "mirror-password" not in str(for_channels(filled, "team", ["conda-forge"]).to_json())
    assert "mirror-password" in str(for_channels(filled, "team", ["other"]).to_json())


def test_by_the_packages_of_a_lock(filled: Database) -> None:
    lock, url = make_lock("x"), "https://x.example.org/team/noarch/x-1-0.conda"
    lock = replace(lock, conda=(Record({**lock.conda[0].raw, "url": url}),))
    with filled.transaction() as session:
        found = channel_access.for_locks(session, VAULT, GIVEN, namespace="team", locks=[lock])
    assert tokens(found) == {"wide", "narrow"}
    assert found.headers(url) == {"Authorization": "Bearer narrow"}
    assert found.scope_of(url)
    assert found.scope_of("https://x.example.org/public/noarch/y-1-0.conda") == ""


def test_scopes_change_with_what_they_stand_for(filled: Database) -> None:
    def scopes(namespace: str) -> tuple[str, str]:
        found = for_channels(filled, namespace, ["https://x.example.org/team"])
        return found.scope, found.scope_of("https://x.example.org/team/noarch/x-1-0.conda")

    before = scopes("team")
    assert scopes("team") == before
    assert len({*before, *scopes("other")}) == 4
    with filled.transaction() as session:
        namespace = namespaces.load(session, "team")
        credentials.put(
            session,
            VAULT,
            namespace=namespace,
            name="narrow",
            kind=Kind.BEARER,
            url="https://x.example.org/team",
            values={"token": "rotated"},
            actor="test",
        )
    assert not set(scopes("team")) & set(before)


def test_what_cannot_be_decrypted_is_named_and_tried_again_later(filled: Database) -> None:
    with filled.transaction() as session, pytest.raises(WorldFault, match="credential 'wide' of the deployment"):
        channel_access.for_specification(
            session, Vault("lost"), GIVEN, namespace="", channels=["https://x.example.org"]
        )
    # What is not needed is not even opened.
    with filled.transaction() as session:
        channel_access.for_specification(session, Vault("lost"), GIVEN, namespace="", channels=["conda-forge"])


def test_a_child_has_none_of_it_in_its_environment() -> None:
    told = environment(
        {"CONDARIUM_SECRET": "s", "CONDARIUM_CHANNEL_CREDENTIALS": "{}", "CONDARIUM_PIP_INDEX_URL": "u", "PATH": "/bin"}
    )
    assert not [name for name in told if name.startswith("CONDARIUM_")]

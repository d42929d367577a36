"""Caches are by digest, and a digest is no secret: what a credential opened is used again by whoever has the right."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from condarium.conda import package_cache
from condarium.conda.channels import ChannelSettings
from condarium.conda.disk import ACCESS, PACKAGES
from condarium.conda.fetch import PackageSource
from condarium.database import Database, package_access
from condarium.domain.lock import Record
from condarium.errors import InputFault
from deploy.local.channel.archive import File, Package
from tests.fixtures.engine import Builder, MakeChannel
from tests.fixtures.http_directory import Served, serve_directory

PACKAGE = Package(
    name="small", version="1", build_pattern="0", files={"share/small": File(b"x" * 5000)}, noarch="generic"
)


@pytest.fixture
def channel(make_channel: MakeChannel) -> Path:
    return make_channel([PACKAGE])


def record_of(channel: Path, url: str) -> Record:
    raw = json.loads((channel / "noarch" / "repodata.json").read_text())["packages.conda"]["small-1-0.conda"]
    return Record({**raw, "fn": "small-1-0.conda", "channel": url, "url": f"{url}/noarch/small-1-0.conda"})


def own(server: Served, token: str) -> ChannelSettings:
    """The settings of a namespace with a credential of its own."""
    return ChannelSettings(credentials={server.url: {"token": token}}, private={server.url: f"print-of-{token}"})


def fill(record: Record, cache: Path, settings: ChannelSettings) -> int:
    return asyncio.run(package_cache.fill([record], cache, settings)).packages


def test_the_package_cache_asks_everybody_who_has_not_fetched_it(channel: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / PACKAGES
    with serve_directory(channel) as server, serve_directory(tmp_path / "nothing") as evil:
        server.authorization = "Bearer team"
        record, stolen = record_of(channel, server.url), record_of(channel, evil.url)
        assert fill(record, cache, own(server, "team")) == 1
        assert fill(record, cache, own(server, "team")) == 0
        for settings in (ChannelSettings(), own(server, "guess")):
            with pytest.raises(InputFault, match="401"):
                fill(record, cache, settings)
            with pytest.raises(InputFault, match="does not exist"):
                fill(stolen, cache, settings)
        # A second one with the right is added, and takes it from nobody.
        server.authorization = "Bearer second"
        assert fill(record, cache, own(server, "second")) == 1
        assert fill(record, cache, own(server, "second")) == 0
        assert fill(record, cache, own(server, "team")) == 0
        # Fetched by everybody's right it is everybody's.
        server.authorization = None
        assert fill(record, cache, ChannelSettings()) == 1
        assert fill(stolen, cache, ChannelSettings()) == 0
        assert fill(record, cache, own(server, "guess")) == 0
        assert not (cache / f"small-1-0{ACCESS}").exists()


def test_what_is_everybodys_stays_so(channel: Path, tmp_path: Path) -> None:
    """A private mirror has the same packages as the public channel."""
    cache = tmp_path / "cache" / PACKAGES
    with serve_directory(channel) as server:
        record = record_of(channel, server.url)
        assert fill(record, cache, ChannelSettings()) == 1
        assert fill(record, cache, own(server, "team")) == 0
        assert fill(record, cache, ChannelSettings()) == 0


def test_another_package_of_the_same_name_does_not_inherit_the_right(
    channel: Path, make_channel: MakeChannel, tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / PACKAGES
    other = make_channel([replace(PACKAGE, files={"share/small": File(b"y" * 5000)})])
    with serve_directory(channel) as server, serve_directory(other) as second:
        public, private = record_of(channel, server.url), record_of(other, second.url)
        assert fill(public, cache, ChannelSettings()) == 1
        assert fill(private, cache, own(second, "team")) == 1
        assert fill(private, cache, ChannelSettings()) == 1
        assert fill(private, cache, own(second, "team")) == 0


def test_the_archive_cache_keeps_apart_what_a_credential_opened(channel: Path, tmp_path: Path) -> None:
    with serve_directory(channel) as server:
        server.authorization = "Bearer team"
        record = record_of(channel, server.url)

        def get(settings: ChannelSettings) -> Path:
            source = PackageSource(tmp_path / "archives", settings, max_bytes=1 << 30)
            return source.get(record.url, record.sha256, size=record.size)

        mine = get(own(server, "team"))
        with pytest.raises(InputFault, match="401"):
            get(ChannelSettings())
        server.authorization = None
        theirs = get(ChannelSettings())
        assert theirs != mine
        assert theirs.read_bytes() == mine.read_bytes()
        assert theirs.name == mine.name == "small-1-0.conda"


def test_who_has_to_fetch_a_package_before_its_layers_are_theirs(database: Database) -> None:
    def closed(**scopes: str) -> set[str]:
        with database.transaction() as session:
            return package_access.closed(session, scopes)

    def fetched(**scopes: str) -> None:
        with database.transaction() as session:
            package_access.fetched(session, scopes)

    assert closed(a="", b="team") == set()
    fetched(a="", b="team")
    assert closed(a="", b="") == {"b"}
    assert closed(b="guess") == {"b"}
    assert closed(b="team") == set()
    fetched(b="second")
    assert closed(b="second") == closed(b="team") == set()
    assert closed(b="") == {"b"}
    fetched(b="")
    assert closed(a="", b="") == closed(b="guess") == set()


def test_a_scope_says_nothing_of_what_opened_it(builder: Builder, channel: Path) -> None:
    with serve_directory(channel) as server:
        server.authorization = "Bearer tok-sesame-open"
        settings = own(server, "tok-sesame-open")
        builder.channels = replace(settings, private={server.url: "0123456789abcdef"}, scope="fedcba98").to_json()
        builder.cache = builder.store / ".cache"
        builder.run({"name": "small", "channels": [server.url], "dependencies": ["small"]})
    assert (builder.cache / "repodata" / "fedcba98").is_dir()
    held = [path.read_bytes() for path in builder.cache.rglob("*") if path.is_file()]
    assert not any(b"sesame" in content for content in held)
    assert not any("sesame" in str(path) for path in builder.cache.rglob("*"))

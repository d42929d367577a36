"""Bytes are those of the lock or are not used; credentials reach the channel and nothing else."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.channel.archive import File, Package
from tests.fixtures.engine import Builder, MakeChannel
from tests.fixtures.http_directory import serve_directory

SMALL = {"name": "small", "dependencies": ["small"]}
PACKAGE = Package(
    name="small", version="1", build_pattern="0", files={"share/small": File(b"x" * 5000)}, noarch="generic"
)


@pytest.fixture
def channel(builder: Builder, make_channel: MakeChannel, tmp_path: Path) -> Path:
    builder.cache = tmp_path / "store" / ".cache"
    return make_channel([PACKAGE])


def test_bytes_that_are_not_those_of_the_channels_index(
    builder: Builder, channel: Path, make_channel: MakeChannel
) -> None:
    other = make_channel([replace(PACKAGE, files={"share/small": File(b"y" * 5000)})])
    wrong = (other / "noarch" / "small-1-0.conda").read_bytes()
    with serve_directory(channel) as served:
        served.answers = {"small-1-0.conda": wrong}
        said = builder.run({**SMALL, "channels": [served.url]})
        assert said.failure[0] == "world"
        assert "but the lock states" in said.failure[2]
        assert not (builder.store / "default").exists()
        assert not (builder.cache / "pkgs" / "small-1-0").exists()
        assert list((builder.cache / "pkgs" / ".incoming").glob("*-*")) == []


def test_bytes_that_were_cut_off(builder: Builder, channel: Path) -> None:
    with serve_directory(channel) as served:
        served.answers = {"small-1-0.conda": (channel / "noarch" / "small-1-0.conda").read_bytes()[:300]}
        assert builder.run({**SMALL, "channels": [served.url]}).failure[0] == "world"


def test_a_package_that_is_none_is_the_channels_final_fault(builder: Builder, channel: Path) -> None:
    """The bytes are what the index promises, and no package."""
    broken = b"PK this is no archive" * 50
    (channel / "noarch" / "small-1-0.conda").write_bytes(broken)
    repodata = channel / "noarch" / "repodata.json"
    document = json.loads(repodata.read_text())
    document["packages.conda"]["small-1-0.conda"]["sha256"] = hashlib.sha256(broken).hexdigest()
    document["packages.conda"]["small-1-0.conda"]["size"] = len(broken)
    repodata.write_text(json.dumps(document))
    kind, reason, message = builder.run({**SMALL, "channels": [channel.as_uri()]}).failure
    assert (kind, reason) == ("input", "link-failed")
    assert "small-1-0.conda" in message


def test_a_package_that_the_index_names_and_nobody_has(builder: Builder, channel: Path) -> None:
    with serve_directory(channel) as served:
        served.answers = {"small-1-0.conda": 404}
        kind, reason, _ = builder.run({**SMALL, "channels": [served.url]}).failure
        assert (kind, reason) == ("input", "no-such-package")


@pytest.mark.parametrize(
    ("credential", "authorization"),
    [
        ({"token": "tok-sesame-open"}, "Bearer tok-sesame-open"),
        (
            {"username": "ali", "password": "sesame-open"},
            "Basic " + base64.b64encode(b"ali:sesame-open").decode(),
        ),
    ],
)
def test_a_credential_opens_the_channel_and_is_nowhere_else(
    builder: Builder, channel: Path, credential: dict[str, str], authorization: str
) -> None:
    with serve_directory(channel) as served:
        served.authorization = authorization
        builder.channels = {"credentials": {served.url: credential}}
        said = builder.run({**SMALL, "channels": [served.url]})
        written = [path.read_text(errors="replace") for path in said.prefix.rglob("*") if path.is_file()]
        text = json.dumps(said.events) + "".join(written)
        assert "sesame-open" not in text
        assert authorization.split()[1] not in text
        # Also where things go wrong.
        served.answers = {".conda": 500}
        failed = builder.run({**SMALL, "channels": [served.url]}, cache=str(builder.store / "second"))
        assert "sesame-open" not in json.dumps(failed.events)


def test_a_token_in_the_path_is_not_in_the_lock(builder: Builder, channel: Path, tmp_path: Path) -> None:
    root = tmp_path / "root" / "t" / "to-ken-sesame"
    root.mkdir(parents=True)
    (root / "private").symlink_to(channel)
    with serve_directory(tmp_path / "root") as served:
        builder.channels = {"credentials": {served.url: {"conda_token": "to-ken-sesame"}}}
        said = builder.run({**SMALL, "channels": [f"{served.url}/private"]})
        assert said.locks["linux-64"].channels == (f"{served.url}/private",)
        assert said.locks["linux-64"].conda[0].url == f"{served.url}/private/noarch/small-1-0.conda"
        assert any("/t/to-ken-sesame/" in path for path in served.seen)
        assert "to-ken-sesame" not in json.dumps(said.events)
        served.answers = {"repodata_shards.msgpack.zst": 500, "repodata.json": 500, "repodata.json.zst": 500}
        failed = builder.run({**SMALL, "channels": [f"{served.url}/private"]})
        assert failed.failure[0] == "world"
        assert "to-ken-sesame" not in json.dumps(failed.events)


def test_a_credential_is_not_sent_to_another_host(builder: Builder, channel: Path) -> None:
    with serve_directory(channel) as served:
        elsewhere = served.url.replace("127.0.0.1", "localhost")
        builder.channels = {"credentials": {elsewhere: {"token": "tok-sesame-open"}}}
        served.authorization = "Bearer tok-sesame-open"
        assert builder.run({**SMALL, "channels": [served.url]}).failure[1] == "no-such-channel"


def test_a_mirror_may_carry_its_user_in_the_url(builder: Builder, channel: Path) -> None:
    with serve_directory(channel) as served:
        served.authorization = "Basic " + base64.b64encode(b"ali:p@ss/word").decode()
        mirror = served.url.replace("http://", "http://ali:p%40ss%2Fword@")
        builder.channels = {"mirrors": {"conda-forge": [mirror]}}
        said = builder.run(SMALL)
        assert said.prefix.is_dir()
        assert "p%40ss" not in json.dumps(said.events)
        assert "p@ss" not in json.dumps(said.events)


def test_a_proxy_out_of_the_environment_is_used(builder: Builder, channel: Path) -> None:
    """The proxy is the same server: it is asked for the whole URL of a host that does not exist."""
    with serve_directory(channel) as served:
        served.answers = {"repodata_shards.msgpack.zst": 500}
        builder.environ = {"http_proxy": served.url, "HTTP_PROXY": served.url}
        said = builder.run({**SMALL, "channels": ["http://no-such-host.invalid/channel"]})
        assert said.failure[0] == "world"
        assert "http://no-such-host.invalid/channel/noarch/repodata_shards.msgpack.zst" in served.seen

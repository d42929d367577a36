"""Base images come from other registries: by any login, out of indexes; nothing that its digest denies is believed."""

import base64
import gzip
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import zstandard

from condarium.database import base_images
from condarium.domain.credential import RegistryLogin
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import DOCKER_LIST, OCI_INDEX
from condarium.errors import InputFault, InvalidInput, WorldFault
from condarium.oci.challenge import Challenge, parse_challenges
from condarium.oci.connection import Connection
from condarium.oci.reference import parse_reference
from condarium.storage import blob_key
from condarium.work.base_images import Choice, pull
from tests.fixtures.patience import patient, within
from tests.fixtures.served import Served, tar_layer

CHOICE = Choice("debian", make_default=False, actor="admin")
LOGIN = RegistryLogin("somebody", "hush")
BASIC = "Basic " + base64.b64encode(b"somebody:hush").decode()


@dataclass
class Foreign:
    """A registry with one repository, `team/debian`; `auth` is none, basic or bearer."""

    auth: str = "none"
    url: str = ""
    objects: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    wait: str = "7"
    #: where the bytes of a name are fetched
    elsewhere: dict[str, str] = field(default_factory=dict)

    def put(self, media_type: str, body: bytes, *tags: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        for name in (digest, *tags):
            self.objects[name] = media_type, body
        return {"mediaType": media_type, "digest": digest, "size": len(body)}

    def image(self, *tags: str, architecture: str = "amd64", media_type: str = OCI_MANIFEST) -> dict[str, Any]:
        """Three layers: gzip, zstd and plain; Docker's manifest has gzip only."""
        oci = media_type == OCI_MANIFEST
        layers, diff_ids = [], []
        for pack in ("gzip", "zstd", "") if oci else ("gzip",):
            packed, diff_id = tar_layer({f"etc/{pack or 'plain'}": architecture.encode() * 50})
            raw = gzip.decompress(packed)
            data = {"gzip": packed, "zstd": zstandard.compress(raw), "": raw}[pack]
            kind = f"application/vnd.oci.image.layer.v1.tar{f'+{pack}' if pack else ''}"
            layers.append(self.put(kind if oci else "application/vnd.docker.image.rootfs.diff.tar.gzip", data))
            diff_ids.append(f"sha256:{diff_id}")
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["LANG=C"], "User": "65534", "WorkingDir": "/srv"},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        body = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": self.put("application/vnd.oci.image.config.v1+json", json.dumps(config).encode()),
            "layers": layers,
        }
        made = self.put(media_type, json.dumps(body).encode(), *tags)
        return made | {"platform": {"os": "linux", "architecture": architecture}}

    def answer(self, path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        self.seen.append((path, headers.get("Authorization", "")))
        if path.startswith("/token"):
            return self._token(path, headers)
        wanted = {"basic": BASIC, "bearer": "Bearer good", "static": "Bearer static", "none": None}[self.auth]
        if wanted and headers.get("Authorization") != wanted:
            realm = f'Bearer realm="{self.url}/token",service="the, registry",scope="repository:team/debian:pull"'
            asked = realm if self.auth == "bearer" else 'Basic realm="x"'
            return 401, {"WWW-Authenticate": asked}, b'{"errors":[{"code":"UNAUTHORIZED","message":"who?"}]}'
        if not path.startswith("/v2/team/debian/"):
            return 404, {}, b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}'
        name = path.rsplit("/", 1)[-1]
        if name in self.answers:
            return self.answers[name], {"Retry-After": self.wait}, b""
        if name in self.elsewhere:
            return 307, {"Location": f"{self.elsewhere[name]}/blob"}, b""
        if name not in self.objects:
            return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"nothing of that name"}]}'
        media_type, body = self.objects[name]
        return 200, {"Content-Type": media_type}, body

    def _token(self, path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        assert "scope=repository%3Ateam%2Fdebian%3Apull" in path
        assert "service=the%2C+registry" in path or "service=the%2C%20registry" in path
        if headers.get("Authorization") != BASIC:
            return 401, {}, b""
        return 200, {}, json.dumps({"token": "good", "expires_in": 60}).encode()


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    with serving(Foreign()) as made:
        yield made


@contextmanager
def serving(made: Foreign) -> Iterator[Foreign]:

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = made.answer(self.path, self.headers)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def take(
    content: Served, foreign: Foreign, what: str = ":12", *platforms: str, login: RegistryLogin | None = None
) -> list[base_images.Stored]:
    reference = parse_reference(f"{foreign.url}/team/debian{what}")
    with Connection(reference.url, login=login) as connection:
        return pull(content.database, content.storage, connection, reference, platforms=platforms, choice=CHOICE)


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_an_image_is_pulled_with_all_that_images_take_over(content: Served, foreign: Foreign, media_type: str) -> None:
    digest = foreign.image("12", media_type=media_type)["digest"]
    [stored] = take(content, foreign)
    image = stored.image
    assert (stored.platform, stored.name, stored.is_default) == ("linux-64", "debian", False)
    assert (image.user, image.working_dir, dict(image.env), image.digest) == ("65534", "/srv", {"LANG": "C"}, digest)
    assert image.source.endswith("/team/debian:12")
    for layer in image.layers:
        with content.storage.open(blob_key(layer.digest)) as chunks:
            packed = b"".join(chunks)
        raw = gzip.decompress(packed) if layer.compression == "gzip" else zstandard.decompress(packed, 1 << 20)
        assert hashlib.sha256(raw).hexdigest() == layer.diff_id
    with content.database.transaction() as session:
        assert base_images.named(session, "linux-64", "debian") == image
        assert base_images.default(session, "linux-64") != image


def test_by_digest_and_by_tag_it_is_the_same_base(content: Served, foreign: Foreign) -> None:
    digest = foreign.image("12")["digest"]
    assert take(content, foreign)[0].id == take(content, foreign, f"@{digest}")[0].id


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_of_an_index_the_right_platforms_are_taken(content: Served, foreign: Foreign, media_type: str) -> None:
    other = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 1}
    members = [
        other | {"platform": {"os": "windows", "architecture": "amd64"}},
        foreign.image(),
        foreign.image(architecture="arm64"),
        other | {"platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": members}).encode()
    foreign.put(media_type, body, "12")
    stored = take(content, foreign, ":12", "linux-64", "linux-aarch64")
    assert [each.platform for each in stored] == ["linux-64", "linux-aarch64"]
    assert [each.image.digest for each in stored] == [members[1]["digest"], members[2]["digest"]]
    with pytest.raises(InputFault, match=r"images for amd64, arm64; none for linux-s390x"):
        take(content, foreign, ":12", "linux-s390x")
    with pytest.raises(InputFault, match="say for which platform"):
        take(content, foreign, ":12")


def test_an_image_for_another_platform_is_refused(content: Served, foreign: Foreign) -> None:
    foreign.image("12", architecture="arm64")
    with pytest.raises(InvalidInput, match=r"is for arm64, wanted is linux-64"):
        take(content, foreign, ":12", "linux-64")
    foreign.image("13", architecture="mips")
    with pytest.raises(InputFault, match="no conda platform for the architecture mips"):
        take(content, foreign, ":13")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_it_logs_in_as_the_registry_wants_it(content: Served, foreign: Foreign, auth: str) -> None:
    foreign.image("12")
    foreign.auth = auth
    assert take(content, foreign, login=LOGIN)
    tokens = [path for path, _ in foreign.seen if path.startswith("/token")]
    assert len(tokens) == (auth == "bearer"), "one token serves all requests of a repository"
    for login, words in ((None, "no credential is kept"), (RegistryLogin("somebody", "wrong"), "that is kept for it")):
        with pytest.raises(InputFault, match=words) as caught:
            take(content, foreign, login=login)
        assert caught.value.reason == "registry-refused"
        assert "hush" not in str(caught.value)
        assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("asks", ["basic", "bearer"])
@pytest.mark.parametrize("login", [LOGIN, RegistryLogin("", "hush")])
def test_where_a_registry_sends_its_clients_nobody_learns_the_password(
    content: Served, foreign: Foreign, asks: str, login: RegistryLogin
) -> None:
    foreign.image("12")
    with serving(Foreign(auth=asks)) as stranger:
        foreign.elsewhere["12"] = stranger.url
        with pytest.raises(InputFault, match="401"):
            take(content, foreign, login=login)
        assert stranger.seen == [("/blob", "")]


def test_a_token_without_a_user_is_shown_as_it_is(content: Served, foreign: Foreign) -> None:
    foreign.image("12")
    foreign.auth = "static"
    assert take(content, foreign, login=RegistryLogin("", "static"))
    with pytest.raises(InputFault, match="401"):
        take(content, foreign, login=RegistryLogin("", "other"))


def test_a_registry_that_fails_is_the_worlds_fault(content: Served, foreign: Foreign) -> None:
    foreign.image("12")
    foreign.answers["12"] = 503
    with pytest.raises(WorldFault, match="503") as caught:
        take(content, foreign)
    assert caught.value.retry_after == 7
    with pytest.raises(InputFault, match=r"404: MANIFEST_UNKNOWN nothing of that name"):
        take(content, foreign, ":13")
    speaks = foreign.url
    foreign.url = speaks.replace("http://", "https://")
    with pytest.raises(WorldFault, match="write http:// before its name"):
        take(content, foreign)
    foreign.url, foreign.wait = speaks, "9" * 400
    with pytest.raises(WorldFault, match="503") as caught:
        take(content, foreign)
    assert caught.value.retry_after == 86_400
    foreign.url = "http://127.0.0.1:9"
    with pytest.raises(WorldFault, match="does not answer"):
        take(content, foreign)


@pytest.mark.parametrize("changed", ["manifest", "config", "layer"])
def test_bytes_that_are_not_the_digests_are_not_believed(content: Served, foreign: Foreign, changed: str) -> None:
    digest = foreign.image("12")["digest"]
    manifest = json.loads(foreign.objects[digest][1])
    name = {"manifest": digest, "config": manifest["config"]["digest"], "layer": manifest["layers"][1]["digest"]}
    kind, body = foreign.objects[name[changed]]
    foreign.objects[name[changed]] = kind, body[:-1] + b"!"
    with pytest.raises(WorldFault, match="digest"):
        take(content, foreign, f"@{digest}")
    with content.database.transaction() as session:
        assert base_images.named(session, "linux-64", "debian") is None


def test_a_layer_that_is_not_what_the_config_says_is_refused(content: Served, foreign: Foreign) -> None:
    digest = foreign.image("12")["digest"]
    manifest = json.loads(foreign.objects[digest][1])
    manifest["layers"][0] = foreign.put(manifest["layers"][0]["mediaType"], tar_layer({"etc/evil": b"x"})[0])
    foreign.put(OCI_MANIFEST, json.dumps(manifest).encode(), "12")
    with pytest.raises(InvalidInput, match="not what the image's config says"):
        take(content, foreign)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"}, "nondistributable"),
        ({"digest": "sha256:../../x"}, "malformed"),
        ({"size": -1}, "malformed"),
        ({"size": 9 << 30}, "more than 8 GiB"),
    ],
)
def test_a_layer_that_cannot_be_is_told(content: Served, foreign: Foreign, changes: Any, said: str) -> None:
    manifest = json.loads(foreign.objects[foreign.image("12")["digest"]][1])
    manifest["layers"][0] |= changes
    foreign.put(OCI_MANIFEST, json.dumps(manifest).encode(), "12")
    with pytest.raises(InputFault, match=said):
        take(content, foreign)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"config": 1, "layers": []}', b'{"layers": [1]}'])
def test_a_manifest_that_is_none_is_told(content: Served, foreign: Foreign, body: bytes) -> None:
    foreign.put(OCI_MANIFEST, body, "12")
    with pytest.raises(InputFault, match=r"malformed|no JSON object"):
        take(content, foreign)


def test_references_are_read_as_people_write_them() -> None:
    digest = f"sha256:{'a' * 64}"
    for text, url, repository, target, name in (
        ("docker.io/debian:12", "https://registry-1.docker.io", "library/debian", "12", "docker.io/library/debian:12"),
        ("host:5000/a/b", "https://host:5000", "a/b", "latest", "host:5000/a/b"),
        ("http://host.org/a:t", "http://host.org", "a", "t", "host.org/a:t"),
        (f"[::1]:5/a:t@{digest}", "https://[::1]:5", "a", digest, f"[::1]:5/a:t@{digest}"),
    ):
        found = parse_reference(text)
        assert (found.url, found.repository, found.target, found.name) == (url, repository, target, name)
    for text in ("", "debian", "debian:12", "h.org/A", "h.org/a:", "h.org/a@sha256:1", "ftp://h.org/a", "u@h.org/a",
                 "h.org/../a", "h.org/", "h.org", "h.org/a b", "h.org/a?x", "h.org:999999/a"):  # fmt: skip
        with pytest.raises(InvalidInput, match="is no image of a registry"):
            parse_reference(text)


def test_challenges_are_read_whatever_their_form() -> None:
    lines = ['Basic realm="a \\"b\\"", Bearer realm="https://t/x?y=1,2",service=s', "Negotiate"]
    assert parse_challenges(lines) == [
        Challenge("basic", {"realm": 'a "b"'}),
        Challenge("bearer", {"realm": "https://t/x?y=1,2", "service": "s"}),
        Challenge("negotiate", {}),
    ]
    assert parse_challenges(["", "=", "\0", 'x="']) == []
    # tried at each blank, it would take a minute
    with within(1):
        assert parse_challenges([" " * 60_000, 'x="' + '\\"' * 30_000]) == []


def test_a_saved_image_is_imported_from_a_layout(content: Served, foreign: Foreign, tmp_path: Path) -> None:
    from condarium.oci.copying import copy_image
    from condarium.work.base_images import import_saved

    foreign.image("12", architecture="arm64")
    reference = parse_reference(f"{foreign.url}/team/debian:12")
    with Connection(reference.url) as connection:
        copy_image(connection, reference, None, tmp_path / "layout")
    choice = Choice("mine", make_default=True, actor="admin")
    stored = import_saved(content.database, content.storage, tmp_path / "layout", platform=None, choice=choice)
    assert (stored.platform, stored.is_default, stored.name) == ("linux-aarch64", True, "mine")
    with pytest.raises(InvalidInput, match=r"arm64, wanted is linux-64|0 manifests"):
        import_saved(content.database, content.storage, tmp_path / "layout", platform="linux-64", choice=choice)


def command(content: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command of administrators, as a process of its own."""
    root = Path(__file__).parents[2]
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{root / 'shared'}{os.pathsep}{root}",
        "CONDARIUM_DATABASE_URL": content.database.url,
        "CONDARIUM_STORAGE_URL": content.storage_url,
        "CONDARIUM_AMQP_URL": "amqp://nobody:nothing@127.0.0.1:9//",
        "CONDARIUM_SECRET": "a-secret-that-is-long-enough-for-tests",
    }
    argv = [sys.executable, "-m", "services.packager.bases", *arguments]
    return subprocess.run(argv, env=environ, cwd=root, capture_output=True, text=True, timeout=patient(60))


def test_an_administrator_pulls_and_chooses_on_the_command_line(content: Served, foreign: Foreign) -> None:
    foreign.image("12")
    image = f"{foreign.url}/team/debian:12"
    pulled = command(content, "pull", image, "--name", "debian", "--platform", "linux-64")
    assert pulled.returncode == 0, pulled.stderr
    assert "linux-64  debian" in pulled.stdout
    assert "default" not in pulled.stdout
    number = pulled.stdout.split()[0]
    assert command(content, "default", number).stdout.rstrip().endswith("default")
    listed = command(content, "list").stdout.splitlines()
    assert [line.split()[0] for line in listed if line.endswith("default")] == [number]
    with content.database.transaction() as session:
        rows = session.execute(sqlalchemy.text("select details->>'operation', principal from audit order by id")).all()
    assert [tuple(row) for row in rows] == [("base-image-pull", "admin"), ("base-image-default", "admin")]
    # a packager that is started with another one does not undo the choice
    with content.database.transaction() as session:
        other = next(each.image for each in base_images.every(session) if not each.is_default)
        base_images.set_default(session, other, platform="linux-64", actor="admin")
        chosen = base_images.default(session, "linux-64")
    assert chosen is not None
    assert chosen.source.endswith("debian:12")


def test_the_command_line_says_what_is_wrong(content: Served, foreign: Foreign, tmp_path: Path) -> None:
    for arguments, words in (
        (("pull", "debian"), "the host of the registry must be named"),
        (("pull", f"{foreign.url}/team/debian:nope"), "404"),
        (("pull", f"{foreign.url}/team/debian:12", "--name", "a b"), "setting image_base"),
        (("import", str(tmp_path / "nothing.tar")), "neither an OCI layout nor a tar"),
        (("default", "4711"), "base image does not exist"),
    ):
        done = command(content, *arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr

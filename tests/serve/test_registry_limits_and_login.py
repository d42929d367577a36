"""How much one may ask of the registry and guess at it, by which names it sends clients to itself, and its TLS."""

import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from condarium.errors import ConfigError, TooManyRequests
from condarium.http.server import Tls
from services.registry.rates import BLOBS, MANIFESTS, Limits, Rates
from tests.fixtures.containers import Client
from tests.fixtures.gateway import token_of
from tests.fixtures.registry import TOKEN, RunningRegistry, running_registry
from tests.fixtures.served import make_lock

NAMES = ("CONDARIUM_REGISTRY_TLS_CERTIFICATE", "CONDARIUM_REGISTRY_TLS_KEY")


def fill(registry: RunningRegistry) -> None:
    made = registry.submit("env")
    registry.solve(made.build_id, make_lock("a"))
    registry.complete(made.build_id)
    registry.make_image(made.build_id)


# -- the token endpoint -----------------------------------------------------------------------------------------


def test_the_token_endpoint_speaks_both_of_its_specifications(registry: RunningRegistry) -> None:
    query = {"service": "condarium", "scope": ["repository:a/b:pull", "repository:c:pull"], "account": "me"}
    got = registry.http.get("/v2/token", params={**query, "client_id": "docker"}, auth=("me", TOKEN))
    form = {"grant_type": "password", "username": "me", "password": TOKEN, "client_id": "containerd", "scope": "a b"}
    posted = registry.http.post("/v2/token", data=form)
    refreshed = registry.http.post("/v2/token", data={"grant_type": "refresh_token", "refresh_token": TOKEN})
    for reply in (got, posted, refreshed):
        assert reply.status_code == 200, reply.text
        assert reply.headers["cache-control"] == "no-store"
        said = reply.json()
        assert said["token"] == said["access_token"]
        assert said["expires_in"] >= 60
        issued = datetime.fromisoformat(said["issued_at"].replace("Z", "+00:00"))
        assert abs(datetime.now(UTC) - issued) < timedelta(minutes=1)
        headers = {"Authorization": f"Bearer {said['token']}"}
        assert registry.http.get("/v2/nowhere/env/tags/list", headers=headers).status_code == 404
    assert posted.json()["scope"] == "a b"


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"grant_type": "password", "password": "wrong"}, 401),
        ({"grant_type": "password"}, 401),
        ({"grant_type": "client_credentials"}, 400),
        ({}, 400),
        ({"grant_type": "password", "password": "x" * 70_000}, 413),
    ],
)
def test_a_wrong_form_gets_no_token(registry: RunningRegistry, form: dict[str, str], status: int) -> None:
    reply = registry.http.post("/v2/token", data=form)
    assert reply.status_code == status
    assert reply.json()["errors"][0]["message"]
    assert "token" not in reply.json()


# -- guessing ---------------------------------------------------------------------------------------------------


def test_who_guesses_waits_and_who_is_known_does_not(database_url: str, storage_dir: Path) -> None:
    more = {"login_address_attempts": 3, "login_window_seconds": 60.0}
    with running_registry(database_url, storage_dir, **more) as registry:
        assert registry.http.get("/v2/", auth=("me", TOKEN)).status_code == 200
        for number in range(3):
            assert registry.http.get("/v2/token", auth=("me", f"guess {number}")).status_code == 401
        # by whatever door, and whether it is right or not
        for way in (
            registry.http.get("/v2/token", auth=("me", "guess")),
            registry.http.get("/v2/token", headers=token_of("viewer")),
            registry.http.get("/v2/env/tags/list", headers={"Authorization": "Bearer guess"}),
            registry.http.post("/v2/token", data={"grant_type": "password", "password": "guess"}),
        ):
            assert way.status_code == 429, way.text
            assert way.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
            assert 1 <= int(way.headers["retry-after"]) <= 60
        assert registry.http.get("/v2/", auth=("me", TOKEN)).status_code == 200
        assert registry.http.get("/v2/token").status_code == 200


def test_many_first_uses_at_once_of_a_good_token_are_one_attempt(database_url: str, storage_dir: Path) -> None:
    more = {"login_address_attempts": 3, "login_window_seconds": 60.0}
    with running_registry(database_url, storage_dir, **more) as registry, ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda _: httpx.get(f"http://{registry.address}/v2/", auth=("me", TOKEN)), range(40)))
        assert {reply.status_code for reply in found} == {200}


# -- rates ------------------------------------------------------------------------------------------------------


def test_more_requests_than_allowed_are_429_until_time_has_passed(database_url: str, storage_dir: Path) -> None:
    more = {"registry_anonymous_manifests_per_minute": 3, "registry_blobs_per_minute": 1}
    with running_registry(database_url, storage_dir, **more) as registry:
        fill(registry)
        for _ in range(3):
            assert registry.http.head("/v2/env/manifests/latest").status_code == 200
        refused = registry.http.get("/v2/env/manifests/latest")
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        layer = registry.admin.get("/v2/env/manifests/latest").json()["layers"][0]["digest"]
        for _ in range(5):
            assert registry.http.get(f"/v2/env/blobs/{layer}").status_code == 200
            assert registry.http.get("/v2/env/tags/list").status_code == 200
        assert [registry.admin.get(f"/v2/env/blobs/{layer}").status_code for _ in range(2)] == [200, 429]


def test_a_bucket_fills_with_time_and_belongs_to_one() -> None:
    rates = Rates({MANIFESTS: Limits(anonymous=2, authenticated=60)})

    def asks(principal: str | None, address: str, now: float) -> bool:
        try:
            rates.take(MANIFESTS, principal, address, now=now)
        except TooManyRequests:
            return False
        return True

    assert [asks(None, "192.0.2.1", 0) for _ in range(3)] == [True, True, False]
    assert asks(None, "192.0.2.2", 0)
    assert not asks(None, "192.0.2.1", 29)
    assert asks(None, "192.0.2.1", 31)
    assert not asks(None, "192.0.2.1", 32)
    # an IPv6 network is one, and somebody who has logged in is the same from everywhere
    assert [asks(None, f"2001:db8::{n}", 0) for n in range(3)] == [True, True, False]
    assert [asks("me", f"192.0.2.{n}", 0) for n in range(61)] == [*[True] * 60, False]
    assert asks("you", "192.0.2.1", 0)
    for _ in range(100):
        rates.take(BLOBS, None, "192.0.2.1")


# -- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "headers", "realm"),
    [
        ({}, {}, "http://{address}"),
        ({}, {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}, "http://{address}"),
        ({"registry_external": "images.example:443"}, {}, "http://images.example:443"),
        (
            {"registry_external": "images.example", "trusted_proxies": ("127.0.0.1",)},
            {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"},
            "https://images.example",
        ),
        (
            {"registry_external": "images.example", "trusted_proxies": ("127.0.0.1",)},
            {"X-Forwarded-Host": "other.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"},
            "https://other.example",
        ),
    ],
)
def test_the_realm_is_where_clients_reach_the_registry(
    database_url: str, storage_dir: Path, more: dict[str, object], headers: dict[str, str], realm: str
) -> None:
    with running_registry(database_url, storage_dir, **more) as registry:
        challenge = registry.http.get("/v2/", headers=headers).headers["www-authenticate"]
        expected = realm.format(address=registry.address)
        assert challenge == f'Bearer realm="{expected}/v2/token",service="condarium"'


# -- TLS --------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Tls:
    """Signed by itself, for 127.0.0.1."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "condarium test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path / "certificates"
    directory.mkdir()
    (directory / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "registry.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Tls.load(directory / "ca.crt", directory / "registry.key", names=NAMES)


@contextmanager
def with_tls(database_url: str, storage_dir: Path, tls: Tls) -> Iterator[RunningRegistry]:
    with running_registry(database_url, storage_dir, tls=tls) as registry:
        fill(registry)
        yield registry


@pytest.mark.client("skopeo")
def test_with_a_certificate_everything_is_tls(
    database_url: str, storage_dir: Path, certificate: Tls, skopeo: Client, tmp_path: Path
) -> None:
    with with_tls(database_url, storage_dir, certificate) as registry:
        challenge = registry.http.get("/v2/").headers["www-authenticate"]
        assert f'realm="https://{registry.address}/v2/token"' in challenge
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://{registry.address}/v2/", verify=ssl.create_default_context())
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://{registry.address}/v2/")
        image = f"docker://{registry.address}/env:latest"
        trusted = f"--src-cert-dir={tmp_path / 'skopeo'}"
        (tmp_path / "skopeo").mkdir()
        (tmp_path / "skopeo/ca.crt").write_bytes(certificate.certificate.read_bytes())
        skopeo.run("copy", trusted, image, f"dir:{tmp_path}/env")
        assert skopeo.attempt("copy", image, f"dir:{tmp_path}/no").returncode != 0
        layer = registry.http.get("/v2/env/manifests/latest").json()["layers"][0]["digest"]
        url = f"https://{registry.address}/v2/env/blobs/{layer}"
        command = ["curl", "-sS", "--cacert", str(certificate.certificate), "-r", "0-9", url]
        got = subprocess.run(command, capture_output=True, check=True).stdout
        assert got == registry.layers[layer.removeprefix("sha256:")][:10]


def test_wrong_certificates_stop_the_start(certificate: Tls, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("no certificate")
    for files, words in (
        ((certificate.certificate, None), "go together"),
        ((certificate.certificate, tmp_path / "nothing"), "cannot read"),
        ((other, certificate.key), "no PEM certificate"),
        ((certificate.key, certificate.key), "no PEM certificate"),
    ):
        with pytest.raises(ConfigError, match=words):
            Tls.load(*files, names=NAMES)


# -- without a login --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bindings", "status"), [({}, 401), ({"default/env": ["viewer"]}, 200), ({"*/*": ["viewer"]}, 200)]
)
def test_who_pulls_without_a_login_is_a_setting(
    database_url: str, storage_dir: Path, bindings: dict[str, list[str]], status: int
) -> None:
    with running_registry(database_url, storage_dir, anonymous_bindings=bindings) as registry:
        fill(registry)
        token = registry.http.get("/v2/token").json()["token"]
        for headers in ({}, {"Authorization": f"Bearer {token}"}):
            assert registry.http.get("/v2/env/manifests/latest", headers=headers).status_code == status
            listed = registry.http.get("/v2/_catalog", headers=headers).json()["repositories"]
            assert listed == (["default/env"] if status == 200 else [])

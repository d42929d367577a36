"""S3: URLs for clients outside, bounded memory, and errors without secrets."""

import secrets
import urllib.error
import urllib.request
from http.client import HTTPResponse
from urllib.parse import parse_qs, urlsplit

import pytest

from condarium.errors import NotFound, WorldFault
from condarium.storage import Storage, open_storage
from condarium.storage.s3 import PART_BYTES, content_disposition
from tests.fixtures.patience import patient
from tests.fixtures.s3 import PrivateS3


@pytest.fixture(scope="module")
def bucket() -> str:
    return f"signing-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def storage(s3_server: PrivateS3, bucket: str) -> Storage:
    opened = open_storage(s3_server.url(bucket))
    opened.prepare()
    opened.put("blobs/one", b"0123456789")
    return opened


def fetch(url: str | None, method: str = "GET", **headers: str) -> HTTPResponse:
    assert url is not None
    request = urllib.request.Request(url, method=method, headers=headers)
    response = urllib.request.urlopen(request, timeout=patient(10))
    assert isinstance(response, HTTPResponse)
    return response


def test_a_signed_url_gives_the_bytes_and_the_name(storage: Storage) -> None:
    url = storage.url("blobs/one", expires_seconds=60, filename="añ b.tar.gz", content_type="application/gzip")
    with fetch(url) as response:
        assert response.read() == b"0123456789"
        assert response.headers["Content-Type"] == "application/gzip"
        assert response.headers["Content-Disposition"] == content_disposition("añ b.tar.gz")


def test_a_signed_url_takes_ranges(storage: Storage) -> None:
    url = storage.url("blobs/one", expires_seconds=60)
    with fetch(url, Range="bytes=2-4") as response:
        assert response.status == 206
        assert response.read() == b"234"
        assert response.headers["Content-Range"] == "bytes 2-4/10"


def test_a_signed_head_has_the_size(storage: Storage) -> None:
    with fetch(storage.url("blobs/one", expires_seconds=60, method="HEAD"), "HEAD") as response:
        assert response.headers["Content-Length"] == "10"


def test_a_changed_or_unsigned_url_is_refused(storage: Storage) -> None:
    url = storage.url("blobs/one", expires_seconds=60)
    assert url is not None
    for bad in (url.replace("blobs/one", "blobs/two"), url.split("?")[0], url[:-1] + ("0" if url[-1] != "0" else "1")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(bad)
        assert caught.value.code in {401, 403}
        caught.value.close()


def test_the_name_for_clients_is_in_the_url_and_signed(s3_server: PrivateS3, storage: Storage, bucket: str) -> None:
    # Services reach it as 127.0.0.1, clients as localhost.
    outside = open_storage(s3_server.url(bucket, external=f"http://localhost:{s3_server.port}"))
    url = outside.url("blobs/one", expires_seconds=60)
    assert urlsplit(str(url)).netloc == f"localhost:{s3_server.port}"
    with fetch(url) as response:
        assert response.read() == b"0123456789"
    assert outside.open("blobs/one").read() == b"0123456789"


def test_signing_needs_no_server() -> None:
    offline = open_storage("s3://KEY:s3cr3t@127.0.0.1:9/bucket?external=https://files.example.org")
    url = str(offline.url("blobs/one", expires_seconds=10**9))
    assert url.startswith("https://files.example.org/bucket/blobs/one?")
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(7 * 24 * 3600)]
    assert "s3cr3t" not in url


def test_a_large_stream_is_sent_in_parts_and_never_held_whole(storage: Storage) -> None:
    class Zeros:
        """40 MB that remember the largest read."""

        left = 40_000_000
        largest = 0

        def read(self, size: int = -1) -> bytes:
            assert size > 0, "the whole stream was asked for at once"
            self.largest = max(self.largest, size)
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    zeros = Zeros()
    stored = storage.put("large", zeros)  # type: ignore[arg-type]
    assert stored.size == 40_000_000
    assert zeros.largest <= PART_BYTES + 1
    with storage.open("large", 39_999_990) as blob:
        assert blob.read() == bytes(10)
    storage.delete("large")


SECRET = "s3cr3t-w0rd"


@pytest.fixture(params=["wrong secret", "no bucket", "no server"])
def broken(request: pytest.FixtureRequest, s3_server: PrivateS3, bucket: str) -> Storage:
    address = f"127.0.0.1:{s3_server.port}"
    return open_storage(
        {
            "wrong secret": f"s3://condarium:{SECRET}@{address}/{bucket}?secure=false",
            "no bucket": s3_server.url("never-made"),
            "no server": f"s3://condarium:{SECRET}@127.0.0.1:9/{bucket}?secure=false",
        }[request.param]
    )


def test_a_broken_s3_is_a_fault_of_the_world_without_secrets(broken: Storage, s3_server: PrivateS3) -> None:
    for call in (broken.check, lambda: list(broken.list()), lambda: broken.open("blobs/one").read()):
        with pytest.raises((WorldFault, NotFound)) as caught:
            call()
        text = f"{caught.value!r} {caught.value} {broken!r}"
        assert SECRET not in text
        assert s3_server.secret_key not in text
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

"""With S3 the bytes of blobs go straight from there to the client, by an address that is signed for it."""

from pathlib import Path

import httpx
import pytest

from tests.fixtures.containers import Client
from tests.fixtures.registry import running_registry
from tests.fixtures.s3 import PrivateS3
from tests.fixtures.served import make_lock


@pytest.mark.client("skopeo")
def test_a_pull_is_redirected(
    database_url: str, storage_dir: Path, s3_server: PrivateS3, skopeo: Client, tmp_path: Path
) -> None:
    with running_registry(database_url, storage_dir, storage_url=s3_server.url("registry")) as registry:
        made = registry.submit("env")
        registry.solve(made.build_id, make_lock("a"))
        registry.complete(made.build_id)
        registry.make_image(made.build_id)
        layer = registry.http.get("/v2/env/manifests/latest").json()["layers"][0]
        path = f"/v2/env/blobs/{layer['digest']}"
        bytes_of_layer = registry.layers[layer["digest"].removeprefix("sha256:")]
        reply = registry.http.get(path, headers={"Range": "bytes=0-9"})
        assert reply.status_code == 307
        assert reply.headers["docker-content-digest"] == layer["digest"]
        followed = httpx.get(reply.headers["location"])
        assert followed.content == bytes_of_layer
        part = httpx.get(reply.headers["location"], headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, bytes_of_layer[5:10])
        head = registry.http.head(path)
        assert head.status_code == 307
        assert head.headers["docker-content-digest"] == layer["digest"]
        followed = httpx.head(head.headers["location"])
        assert (followed.status_code, followed.content) == (200, b"")
        assert int(followed.headers["content-length"]) == len(bytes_of_layer)
        for answer in (reply, head):
            assert answer.content == b""
            assert answer.headers["content-length"] == "0"
            assert answer.headers["cache-control"] == "no-store"
            assert "X-Amz-Expires=60&" in answer.headers["location"]
        skopeo.run("copy", "--src-tls-verify=false", f"docker://{registry.address}/env:latest", f"dir:{tmp_path}/env")
        missing = registry.http.get(f"/v2/env/blobs/sha256:{'ab' * 32}")
        assert missing.status_code == 404

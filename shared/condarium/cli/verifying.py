"""`condarium verify`: whether the image that the registry serves is signed by a key that one knows."""

import hashlib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import typer

from condarium.cli import completion, references
from condarium.cli.output import Json, Output
from condarium.cli.session import connect, server, token_for
from condarium.client import ApiError, NotThere, ServerAway
from condarium.client.models import Image
from condarium.domain.referrers import cosign
from condarium.errors import InvalidInput

#: how long the image and its signature are waited for
WAIT_SECONDS = 120.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: more is no signature
_MOST_BYTES = 1 << 20


def verify(
    environment: Annotated[
        str,
        typer.Argument(
            help="NAME or NAMESPACE/NAME, also with :REFERENCE as images have it; or a build's number",
            autocompletion=completion.environments,
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option(help="The public key in PEM that you trust; without it, the keys that the server names."),
    ] = None,
    json: Json = False,
) -> None:
    """Fetches the signature of an image from the registry and checks it against the image's digest.

    With keys that the server names it shows that registry and server agree, no more: give --key to check both.
    """
    with connect() as client:
        build = references.resolve(client, environment)
        image = client.image(build.id, wait_seconds=WAIT_SECONDS)
        keys = {"": _read(key)} if key else {row.fingerprint: row.public_key for row in client.signing_keys()}
        tokens = token_for(server())
    found = sorted(_signers(image, keys, tokens))
    if not found:
        raise ApiError(f"{image.pinned} is not signed by {key or 'a key of the server'}", 0)
    said = f"by {key}" if key else f"by key {', '.join(each[:16] for each in found)}"
    Output(json).done(f"{image.pinned} is signed {said}", image=image.pinned, digest=image.digest, keys=found)


def _signers(image: Image, keys: dict[str, str], token: str) -> set[str]:
    """The names of the keys that have signed the digest."""
    host, _, path = image.pinned.partition("@")[0].partition("/")
    scheme = "http" if urlsplit(f"//{host}").hostname in _LOOPBACK else "https"
    auth = ("condarium", token) if token else None
    tag = cosign.signature_tag(image.digest.removeprefix("sha256:"))
    found: set[str] = set()
    with httpx.Client(
        base_url=f"{scheme}://{host}/v2/{path}/", auth=auth, timeout=60, follow_redirects=True
    ) as registry:
        manifest = _get(registry, f"manifests/{tag}").json()
        for layer in manifest.get("layers", []):
            payload = _get(registry, f"blobs/{layer['digest']}").content
            if f"sha256:{hashlib.sha256(payload).hexdigest()}" != layer["digest"]:
                raise ApiError(f"{host} sent something else than {layer['digest']}", 0)
            signature = layer.get("annotations", {}).get(cosign.SIGNATURE, "")
            found |= {
                name for name, pem in keys.items() if cosign.signed_digest(pem, payload, signature) == image.digest
            }
    return found


def _get(registry: httpx.Client, path: str) -> httpx.Response:
    """Raises NotThere for what is not signed yet, ServerAway, ApiError."""
    try:
        reply = registry.get(path)
    except httpx.HTTPError as error:
        raise ServerAway(f"the registry {registry.base_url} cannot be asked: {error}", 0) from None
    if reply.status_code == 404:
        raise NotThere("the image is not signed yet; that takes a moment after it was made", 404)
    if reply.status_code != 200 or len(reply.content) > _MOST_BYTES:
        raise ApiError(f"the registry {registry.base_url} answers {reply.status_code}", reply.status_code)
    return reply


def _read(path: Path) -> str:
    """Raises InvalidInput for what is no public key."""
    from cryptography.hazmat.primitives import serialization

    try:
        text = path.read_text()
        serialization.load_pem_public_key(text.encode())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise InvalidInput(f"{path} holds no public key in PEM; `condarium signing-key show` prints one") from None
    return text

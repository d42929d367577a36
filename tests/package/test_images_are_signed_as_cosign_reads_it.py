"""Signatures and attestations, read back by Sigstore's models, by securesystemslib's DSSE, and by hand.

cosign itself is not here: what it reads with `--key` is built up from its formats, and each is taken apart below.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from sigstore_models.bundle.v1 import Bundle

from condarium.database import referrer_sets, referrers, signing_keys
from condarium.database.images import Manifest
from condarium.domain import referrers as media
from condarium.domain.referrers import cosign, envelope, provenance
from condarium.domain.referrers.envelope import SigningKey
from condarium.domain.sealing import Vault
from condarium.storage import blob_key
from services.packager.handlers import Work
from tests.fixtures.patience import wait_for
from tests.fixtures.referrers import publish, referring, rich_lock, wait_until_made
from tests.fixtures.served import Served, make_lock, served

PREDICATES = {provenance.SIGNED, provenance.SLSA, provenance.SPDX_DOCUMENT, provenance.CYCLONEDX_BOM}


@pytest.fixture
def content(database_url: str, storage_dir: Path) -> Iterator[Served]:
    with served(database_url, storage_dir) as made:
        yield made


@pytest.fixture
def work(content: Served, tmp_path: Path) -> Iterator[Work]:
    with referring(content, tmp_path / "cache") as running:
        yield running


def public_keys(content: Served) -> list[str]:
    """The newest first."""
    with content.database.transaction() as session:
        return [row.public_key for row in signing_keys.every(session)]


def vault(work: Work) -> Vault:
    return Vault(work.settings.secret)


def manifests(content: Served, build_id: int, subject: str) -> list[tuple[referrers.Listed, dict[str, Any]]]:
    with content.database.transaction() as session:
        found = [one for one in referrers.of_build(session, build_id) if one.subject == subject]
        environment = _environment(session, build_id)
        bodies = [referrers.manifest_of(session, environment, one.digest) for one in found]
    return [(one, json.loads(body.body)) for one, body in zip(found, bodies, strict=True) if body is not None]


def _environment(session: Any, build_id: int) -> int:
    from condarium.database import builds

    return builds.load(session, build_id).environment_id


def blob(content: Served, descriptor: dict[str, Any]) -> bytes:
    digest = descriptor["digest"].removeprefix("sha256:")
    with content.storage.open(blob_key(digest)) as stored:
        data = b"".join(stored)
    assert hashlib.sha256(data).hexdigest() == digest
    assert len(data) == descriptor["size"]
    return data


def tagged(content: Served, build_id: int, tag: str) -> dict[str, Any]:
    with content.database.transaction() as session:
        found: Manifest | None = referrers.by_tag(session, _environment(session, build_id), tag)
    assert found is not None
    body: dict[str, Any] = json.loads(found.body)
    return body


def statement_of(dsse: dict[str, Any], public_pem: str) -> dict[str, Any]:
    """By securesystemslib; raises VerificationError."""
    loaded = serialization.load_pem_public_key(public_pem.encode())
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    key = SSlibKey.from_crypto(loaded)
    # the library compares ids first; the format asks for none
    signatures = [{"keyid": key.keyid, "sig": one["sig"]} for one in dsse["signatures"]]
    Envelope.from_dict({**dsse, "signatures": signatures}).verify([key], 1)
    found: dict[str, Any] = json.loads(base64.b64decode(dsse["payload"]))
    return found


def verified_by_hand(public_pem: str, message: bytes, signature: str) -> None:
    key = serialization.load_pem_public_key(public_pem.encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    key.verify(base64.b64decode(signature), message, ec.ECDSA(hashes.SHA256()))


def test_bundles_of_manifest_and_index_hold_statements_about_them(content: Served, work: Work) -> None:
    build_id, index = publish(content, "multi", make_lock("a"), make_lock("a", "linux-aarch64"))
    wait_until_made(content, build_id)
    (public,) = public_keys(content)
    with content.database.transaction() as session:
        subjects = {one.subject.digest for one in referrers.subjects(session, build_id)}
    assert index in subjects
    assert len(subjects) == 6  # two platforms and an index, each in both encodings
    for subject in subjects:
        found = {}
        for one, manifest in manifests(content, build_id, subject):
            if one.artifact_type != media.BUNDLE:
                continue
            assert manifest["artifactType"] == media.BUNDLE
            assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
            assert manifest["annotations"]["dev.sigstore.bundle.content"] == "dsse-envelope"
            (layer,) = manifest["layers"]
            text = blob(content, layer)
            bundle = Bundle.from_json(text)
            assert bundle.media_type == layer["mediaType"] == media.BUNDLE
            hint = hashlib.sha256(_der(public)).digest()
            assert bundle.verification_material.public_key is not None
            assert bundle.verification_material.public_key.hint == base64.b64encode(hint).decode()
            dsse = json.loads(text)["dsseEnvelope"]
            statement = statement_of(dsse, public)
            verified_by_hand(
                public,
                envelope.pae(dsse["payloadType"], base64.b64decode(dsse["payload"])),
                dsse["signatures"][0]["sig"],
            )
            assert statement["_type"] == "https://in-toto.io/Statement/v1"
            assert statement["subject"][0]["digest"] == {"sha256": subject}
            assert statement["predicateType"] == manifest["annotations"]["dev.sigstore.bundle.predicateType"]
            found[statement["predicateType"]] = statement["predicate"]
        assert set(found) == PREDICATES
        assert found[provenance.SIGNED] == {}


def _der(public_pem: str) -> bytes:
    return serialization.load_pem_public_key(public_pem.encode()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_cosign_2_finds_signature_and_attestations_at_its_tags(content: Served, work: Work) -> None:
    build_id, digest = publish(content, "env", rich_lock())
    wait_until_made(content, build_id)
    (public,) = public_keys(content)
    signature = tagged(content, build_id, f"sha256-{digest}.sig")
    (layer,) = signature["layers"]
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = blob(content, layer)
    verified_by_hand(public, payload, layer["annotations"]["dev.cosignproject.cosign/signature"])
    said = json.loads(payload)
    assert said["critical"]["image"] == {"docker-manifest-digest": f"sha256:{digest}"}
    assert said["critical"]["type"] == "cosign container image signature"
    assert said["critical"]["identity"] == {"docker-reference": "default/env"}
    config = json.loads(blob(content, signature["config"]))
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"]]}

    attested = tagged(content, build_id, f"sha256-{digest}.att")
    types = set()
    for layer in attested["layers"]:
        assert layer["mediaType"] == "application/vnd.dsse.envelope.v1+json"
        assert layer["annotations"]["dev.cosignproject.cosign/signature"] == ""
        statement = statement_of(json.loads(blob(content, layer)), public)
        assert statement["predicateType"] == layer["annotations"]["predicateType"]
        assert statement["subject"][0]["digest"] == {"sha256": digest}
        types.add(statement["predicateType"])
    assert types == PREDICATES - {provenance.SIGNED}


def test_provenance_says_what_was_asked_for_and_what_it_was_made_of(content: Served, work: Work) -> None:
    lock = rich_lock()
    build_id, digest = publish(content, "env", lock)
    wait_until_made(content, build_id)
    found = tagged(content, build_id, f"sha256-{digest}.att")
    layer = next(one for one in found["layers"] if one["annotations"]["predicateType"] == provenance.SLSA)
    predicate = statement_of(json.loads(blob(content, layer)), public_keys(content)[0])["predicate"]
    definition = predicate["buildDefinition"]
    assert definition["externalParameters"]["environment"] == "env"
    assert definition["externalParameters"]["specification"]["dependencies"] == ["zlib"]
    assert definition["internalParameters"]["locks"] == {"linux-64": f"sha256:{lock.hash}"}
    resolved = {one["uri"]: one["digest"]["sha256"] for one in definition["resolvedDependencies"]}
    assert resolved == {one.url: one.sha256 for one in (*lock.conda, *lock.pypi)}
    assert predicate["runDetails"]["builder"]["id"] == provenance.BUILDER
    assert predicate["runDetails"]["metadata"]["invocationId"].endswith("-env")


def test_another_key_or_another_text_does_not_verify(content: Served, work: Work) -> None:
    build_id, digest = publish(content, "env", make_lock("zlib"))
    wait_until_made(content, build_id)
    layer = tagged(content, build_id, f"sha256-{digest}.att")["layers"][0]
    dsse = json.loads(blob(content, layer))
    public = public_keys(content)[0]
    assert envelope.opened(public, dsse) is not None
    with pytest.raises(VerificationError):
        statement_of(dsse, SigningKey.generate().public_pem)
    statement = json.loads(base64.b64decode(dsse["payload"]))
    statement["subject"][0]["digest"]["sha256"] = "ab" * 32
    forged = {**dsse, "payload": base64.b64encode(json.dumps(statement).encode()).decode()}
    with pytest.raises(VerificationError):
        statement_of(forged, public)
    assert envelope.opened(public, forged) is None


def test_rotation_keeps_old_signatures_and_signs_anew_on_demand(content: Served, work: Work) -> None:
    old_build, old_image = publish(content, "old", make_lock("zlib"))
    wait_until_made(content, old_build)
    with content.database.transaction() as session:
        signing_keys.rotate(session, vault(work), actor="admin")
    new_build, new_image = publish(content, "new", make_lock("openssl"))
    wait_until_made(content, new_build)
    new, old = public_keys(content)
    with content.database.transaction() as session:
        assert [row.state for row in signing_keys.every(session)] == ["ACTIVE", "RETIRED"]

    def signed_by(build_id: int, image: str) -> list[str]:
        keys = []
        for layer in tagged(content, build_id, f"sha256-{image}.sig")["layers"]:
            signature = base64.b64decode(layer["annotations"][cosign.SIGNATURE])
            keys += [public for public in (old, new) if envelope.verified(public, blob(content, layer), signature)]
        return keys

    assert signed_by(old_build, old_image) == [old]
    assert signed_by(new_build, new_image) == [new]
    before = {one.digest for one, _ in manifests(content, old_build, old_image) if one.tag is None}
    with content.database.transaction() as session:
        fingerprint = signing_keys.ensure(session, vault(work)).fingerprint
        assert referrer_sets.request_again(session, fingerprint) == 1

    def again() -> bool:
        with content.database.transaction() as session:
            row = referrer_sets.state_of(session, old_build)
        return row is not None and row.state == "READY" and row.fingerprint == fingerprint

    wait_for(again, seconds=60)
    assert signed_by(old_build, old_image) == [old, new]
    after = manifests(content, old_build, old_image)
    assert before <= {one.digest for one, _ in after}
    bundles = [one for one, _ in after if one.artifact_type == media.BUNDLE]
    assert len(bundles) == 2 * len(PREDICATES)
    with content.database.transaction() as session:
        assert referrer_sets.request_again(session, fingerprint) == 0


def test_making_them_again_changes_nothing(content: Served, work: Work) -> None:
    build_id, digest = publish(content, "env", make_lock("zlib"))
    first = wait_until_made(content, build_id)
    before = [one for one, _ in manifests(content, build_id, digest)]
    with content.database.transaction() as session:
        referrer_sets.request(session, build_id)

    def again() -> bool:
        with content.database.transaction() as session:
            row = referrer_sets.state_of(session, build_id)
        return row is not None and row.state == "READY" and row.made_on != first.made_on

    wait_for(again, seconds=60)
    assert [one for one, _ in manifests(content, build_id, digest)] == before


def test_one_key_is_made_however_many_ask(content: Served) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def ask(_: int) -> str:
        with content.database.transaction() as session:
            return signing_keys.signing(session, Vault("s")).fingerprint

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert len(public_keys(content)) == 1


def test_a_key_of_another_secret_is_tried_again_with_a_sentence(content: Served, tmp_path: Path) -> None:
    with content.database.transaction() as session:
        signing_keys.ensure(session, Vault("another secret"))
    with referring(content, tmp_path / "cache", max_attempts=2):
        build_id, _ = publish(content, "env", make_lock("zlib"))
        row = wait_until_made(content, build_id, "FAILED")
    assert row.reason is not None
    assert "given up after 2 attempts: the signing key" in row.reason
    assert "CONDARIUM_SECRET_PREVIOUS" in row.reason
    with content.database.transaction() as session:
        done, closed = signing_keys.reseal(session, Vault("new", "another secret"))
        assert (done, closed) == (1, [])
        assert signing_keys.signing(session, Vault("new")).public_pem == public_keys(content)[0]

"""What is signed about a manifest: that it is ours, how it was made, and its bills of materials.

Once as bundles that refer to it, as cosign 3 does; once at the tags where cosign 2 looks.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from condarium.database.referrers import SubjectOf
from condarium.domain import referrers as media
from condarium.domain.referrers import cosign, envelope, provenance
from condarium.domain.referrers.envelope import SigningKey
from condarium.domain.referrers.manifest import Part, Rendered, render_referrer
from services.packager.referrers.files import Files
from services.packager.referrers.gathering import Gathered

CONTENT = "dev.sigstore.bundle.content"
PREDICATE = "dev.sigstore.bundle.predicateType"


def signed_of(key: SigningKey, gathered: Gathered, each: SubjectOf, files: Files) -> Iterator[Rendered]:
    """Four bundles and two tagged manifests."""
    subject, repository = each.subject, gathered.repository
    attested: list[Part] = []
    for predicate_type, predicate in _predicates(gathered, each, files).items():
        statement = provenance.statement(repository, subject.digest, predicate_type, predicate)
        sealed = envelope.sealed_statement(key, statement)
        annotations = {CONTENT: "dsse-envelope", PREDICATE: predicate_type, cosign.KEY: key.fingerprint}
        yield render_referrer(subject, Part.of(envelope.bundle(key, sealed), media.BUNDLE), annotations)
        if predicate_type != provenance.SIGNED:
            attested.append(cosign.attestation(key, sealed, predicate_type))
    tag = cosign.signature_tag(subject.digest)
    payload = cosign.signed_payload(key, repository, subject.digest)
    yield cosign.render_tagged(subject.digest, tag, [payload], gathered.tagged.get(tag), key)
    tag = cosign.attestation_tag(subject.digest)
    yield cosign.render_tagged(subject.digest, tag, attested, gathered.tagged.get(tag), key)


def _predicates(gathered: Gathered, each: SubjectOf, files: Files) -> Mapping[str, dict[str, Any]]:
    spdx, cyclonedx = files.bills(each)
    return {
        provenance.SIGNED: {},
        provenance.SLSA: provenance.slsa_predicate(gathered.making, gathered.locks_of(each)),
        provenance.SPDX_DOCUMENT: json.loads(spdx),
        provenance.CYCLONEDX_BOM: json.loads(cyclonedx),
    }

"""in-toto statements about an image: that it is ours, and how it was made (SLSA 1.0)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from condarium.domain.canonical import canonical_json
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.referrers.bill import purl_of

STATEMENT = "https://in-toto.io/Statement/v1"
SLSA = "https://slsa.dev/provenance/v1"
#: what `cosign sign` of version 3 states
SIGNED = "https://sigstore.dev/cosign/sign/v1"
SPDX_DOCUMENT = "https://spdx.dev/Document"
CYCLONEDX_BOM = "https://cyclonedx.org/bom"
BUILD_TYPE = "urn:condarium:build-type:image:v1"
BUILDER = "urn:condarium:packager:v1"


@dataclass(frozen=True)
class Making:
    """How an image came to be. `specification` is the object that was asked for, `key` that of the build."""

    namespace: str
    environment: str
    generation: int
    key: str
    specification: Mapping[str, Any]
    specification_hash: str
    started_on: datetime | None = None
    ended_on: datetime | None = None


def statement(name: str, digest: str, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """About the manifest of that sha256 in hex; `name` is the repository that it is served in."""
    return canonical_json(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": digest}}],
            "predicateType": predicate_type,
            "predicate": dict(predicate),
        }
    )


def slsa_predicate(making: Making, locks: Sequence[Lock]) -> dict[str, Any]:
    """The packages, with their hashes, as resolved dependencies; the locks as what decided the bytes."""
    every: list[Record | Wheel] = []
    for lock in locks:
        every += [*lock.conda, *lock.pypi]
    packages = {purl_of(one): one for one in every}
    times = {"startedOn": making.started_on, "finishedOn": making.ended_on}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "namespace": making.namespace,
                "environment": making.environment,
                "specification": dict(making.specification),
                "platforms": sorted(lock.platform for lock in locks),
            },
            "internalParameters": {
                "generation": making.generation,
                "specificationHash": making.specification_hash,
                "locks": {lock.platform: f"sha256:{lock.hash}" for lock in locks},
                "virtualPackages": {lock.platform: sorted(lock.virtual_packages) for lock in locks},
            },
            "resolvedDependencies": [
                {"name": purl, "uri": one.url, "digest": {"sha256": one.sha256}}
                for purl, one in sorted(packages.items())
            ],
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "metadata": {
                "invocationId": making.key,
                **{key: _moment(value) for key, value in times.items() if value is not None},
            },
        },
    }


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

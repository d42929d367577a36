"""An index: the image of one environment for several platforms, as bytes; a pure function of its manifests."""

from collections.abc import Sequence
from dataclasses import dataclass

from condarium.domain.canonical import canonical_json
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST, architecture

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

#: what an index of each type names
MEMBER_TYPES = {OCI_INDEX: OCI_MANIFEST, DOCKER_LIST: DOCKER_MANIFEST}


@dataclass(frozen=True)
class IndexMember:
    """The manifest of one platform; `digest` in hex, `size` of the manifest in bytes."""

    platform: str
    digest: str
    size: int


def render_index(members: Sequence[IndexMember], media_type: str) -> bytes:
    """The index of that type, its members ordered by platform."""
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": [
                {
                    "mediaType": MEMBER_TYPES[media_type],
                    "digest": f"sha256:{member.digest}",
                    "size": member.size,
                    "platform": {"architecture": architecture(member.platform), "os": "linux"},
                }
                for member in sorted(members, key=lambda member: member.platform)
            ],
        }
    )

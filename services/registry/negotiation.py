"""Which encoding of an image a client gets. A tag has one stable digest for each set of accepted types."""

from collections.abc import Iterable, Sequence

from condarium.database.images import Manifest
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import DOCKER_LIST, OCI_INDEX
from services.registry.faults import ManifestUnknown

#: what holds all platforms first, then what the specification names first
_ORDER = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)


def accepted(headers: Iterable[str]) -> frozenset[str] | None:
    """The media types of all Accept lines together (docker and skopeo send one line for each); None means any."""
    types = set()
    for item in ",".join(headers).split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        if media_type and not any(parameter in ("q=0", "q=0.0") for parameter in parameters):
            types.add(media_type)
    if not types or "*/*" in types or "application/*" in types:
        return None
    return frozenset(types)


def choose(manifests: Sequence[Manifest], types: frozenset[str] | None) -> Manifest:
    """The best of the encodings. Raises ManifestUnknown when the client reads none of them."""
    for media_type in _ORDER:
        if types is None or media_type in types:
            for manifest in manifests:
                if manifest.media_type == media_type:
                    return manifest
    raise ManifestUnknown(
        "the image is there, but not in a form that this client accepts; it is stored as "
        + ", ".join(sorted({manifest.media_type for manifest in manifests}))
    )

"""Which encoding of an image a client gets. A tag has one stable digest for each set of accepted types."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from condarium.database.images import Manifest
from condarium.domain.image import DOCKER_MANIFEST, OCI_MANIFEST
from condarium.domain.image.index import DOCKER_LIST, OCI_INDEX
from services.registry.faults import ManifestUnknown

#: what holds all platforms first, then what the specification names first
_ORDER = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)


@dataclass(frozen=True)
class Accepted:
    """`weights` by media type, from 0 (refused) to 1."""

    weights: dict[str, float]

    def weight(self, media_type: str) -> float:
        """How much the client wants it; what is named counts before what a star stands for."""
        for name in (media_type, "application/*", "*/*"):
            if name in self.weights:
                return self.weights[name]
        return 0.0


def accepted(headers: Iterable[str]) -> Accepted:
    """All Accept lines together (docker and skopeo send one line for each type); without any everything is wanted."""
    weights: dict[str, float] = {}
    for item in ",".join(headers).split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        if media_type:
            weights[media_type] = max(_quality(parameters), weights.get(media_type, 0.0))
    return Accepted(weights or {"*/*": 1.0})


def _quality(parameters: Iterable[str]) -> float:
    """What is malformed is as if it were not there."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                found = float(value)
            except ValueError:
                return 1.0
            return found if 0.0 <= found <= 1.0 else 1.0
    return 1.0


def choose(manifests: Sequence[Manifest], wanted: Accepted) -> Manifest:
    """The best of the encodings. Raises ManifestUnknown when the client reads none of them."""
    ranked = [
        (-wanted.weight(manifest.media_type), _ORDER.index(manifest.media_type), number)
        for number, manifest in enumerate(manifests)
        if manifest.media_type in _ORDER and wanted.weight(manifest.media_type) > 0
    ]
    if ranked:
        return manifests[min(ranked)[2]]
    raise ManifestUnknown(
        "the image is there, but not in a form that this client accepts; it is stored as "
        + ", ".join(sorted({manifest.media_type for manifest in manifests}))
    )

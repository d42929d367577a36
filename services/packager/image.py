"""The image: layers straight out of packages, a config and manifests; an index where there are several platforms."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from condarium.conda.codec import codec
from condarium.conda.layer import LAYER_FORMAT, LayerResult, layer_key, make_top_layer, top_layer_key
from condarium.database import base_images, images
from condarium.database import pieces as piece_rows
from condarium.database.images import Blob, Manifest
from condarium.database.pieces import Known
from condarium.domain.canonical import canonical_hash
from condarium.domain.grouping import PLAN_VERSION, plan_layers
from condarium.domain.image import (
    OCI_MANIFEST,
    PREFIX,
    BaseImage,
    Image,
    ImageLayer,
    architecture,
    layer_note,
    render_image,
)
from condarium.domain.image_index import MEMBER_TYPES, OCI_INDEX, IndexMember, render_index
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock
from condarium.errors import InputFault
from condarium.storage import blob_key
from services.packager import pieces
from services.packager.children import Children
from services.packager.handlers import Made, Task, Work
from services.packager.jobs import PieceJob

#: goes up when anything changes that the other parts of a plan do not say
IMAGE_FORMAT = 1


@dataclass(frozen=True)
class _Platform:
    lock: Lock
    base: BaseImage
    plan: str


def make_image(work: Work, children: Children, task: Task, *, lost: Callable[[], bool]) -> Made:
    """The image of every platform that can have one; its digest is that of the OCI manifest, or of the OCI index.

    Raises InputFault where no platform can, and what `pieces.ensure` raises.
    """
    platforms, left_out = _platforms(work, task)
    sizes = {platform: _make(work, children, of, lost) for platform, of in platforms.items()}
    with work.database.transaction() as session:
        made = {platform: images.find(session, of.lock.hash, of.plan) for platform, of in platforms.items()}
        if len(made) == 1:
            (manifests,) = made.values()
            digest = next(item.digest for item in manifests if item.media_type == OCI_MANIFEST)
        else:
            digest = _store_index(session, platforms, made)
    return Made(digest, sum(sizes.values()), note=_note(left_out))


def _platforms(work: Work, task: Task) -> tuple[dict[str, _Platform], dict[str, str]]:
    """What can be made, and why the rest cannot."""
    found: dict[str, _Platform] = {}
    left_out: dict[str, str] = {}
    for platform, lock in sorted(task.locks.items()):
        try:
            architecture(platform)
        except InputFault as error:
            left_out[platform] = str(error)
            continue
        with work.database.transaction() as session:
            base = base_images.default(session, platform)
        if base is None:
            left_out[platform] = (
                f"no base image is stored for {platform}; make one (python -m deploy.base DIRECTORY) and start a "
                "packager with CONDARIUM_BASE_IMAGE=DIRECTORY"
            )
        else:
            found[platform] = _Platform(lock, base, _plan(work, base))
    if not found:
        raise InputFault("; ".join(left_out.values()), reason="no-image-for-platform")
    return found, left_out


def _note(left_out: dict[str, str]) -> str | None:
    if not left_out:
        return None
    return "; ".join(f"without {platform}: {why}" for platform, why in left_out.items())


def _plan(work: Work, base: BaseImage) -> str:
    """The hash of everything besides the lock that decides the bytes of an image."""
    budget = work.settings.layer_budget
    return canonical_hash(
        ["image", IMAGE_FORMAT, LAYER_FORMAT, PLAN_VERSION, codec("gzip").key, PREFIX, budget, base.identity]
    )


def _make(work: Work, children: Children, of: _Platform, lost: Callable[[], bool]) -> int:
    """Makes the image of one platform unless it is there; returns the bytes of its layers."""
    with work.database.transaction() as session:
        known = images.size_of(session, of.lock.hash, of.plan)
    if known is not None:
        return known
    groups = plan_layers(of.lock, budget=work.settings.layer_budget, base_layers=len(of.base.layers))
    keys = [layer_key(of.lock, members) for members in groups]
    jobs = {key: PieceJob("layer", of.lock, list(members)) for key, members in zip(keys, groups, strict=True)}
    found = pieces.ensure(work.database, children, jobs, lost=lost)
    layers = [_layer(found[key], members) for key, members in zip(keys, groups, strict=True)]
    layers.append(_top_layer(work, of.lock))
    image = render_image(of.lock, of.base, layers)
    work.storage.put(blob_key(image.config_digest), image.config)
    with work.database.transaction() as session:
        return _store(session, of, image, layers)


def _layer(piece: Known, members: tuple[Member, ...]) -> ImageLayer:
    note = layer_note([f"{member.name} {member.version}" for member in members])
    return ImageLayer(piece.digest, piece.details["diff_id"], piece.size, note)


def _top_layer(work: Work, lock: Lock) -> ImageLayer:
    """A few kB: made here, quicker than asking a child."""
    key = top_layer_key(lock)
    with work.database.transaction() as session:
        known = piece_rows.known(session, [key]).get(key)
    if known is None:
        sink = io.BytesIO()
        made: LayerResult = make_top_layer(lock, sink=sink)
        work.storage.put(blob_key(made.digest), sink.getvalue())
        details = asdict(made)
        known = Known(key, details.pop("digest"), details.pop("size"), details)
        with work.database.transaction() as session:
            piece_rows.record(session, known, kind="layer")
    return ImageLayer(known.digest, known.details["diff_id"], known.size, layer_note(["the environment"]))


def _store(session: Session, of: _Platform, image: Image, layers: list[ImageLayer]) -> int:
    every = [*of.base.layers, *layers]
    size = sum(layer.size for layer in every)
    blobs = [Blob(layer.digest, f"layer+{layer.compression}", layer.size) for layer in every]
    blobs.append(Blob(image.config_digest, "config", len(image.config)))
    for media_type, manifest in image.manifests.items():
        images.store(
            session,
            lock_hash=of.lock.hash,
            plan=of.plan,
            media_type=media_type,
            digest=image.manifest_digest(media_type),
            manifest=manifest,
            config_digest=image.config_digest,
            size=size,
            blobs=blobs,
        )
    return size


def _store_index(session: Session, platforms: dict[str, _Platform], made: dict[str, list[Manifest]]) -> str:
    """In both encodings; returns the digest of OCI's."""
    first = platforms[min(platforms)]
    plan = canonical_hash(["index", {platform: [of.lock.hash, of.plan] for platform, of in platforms.items()}])
    digests = {}
    for media_type, member_type in MEMBER_TYPES.items():
        members = [
            IndexMember(platform, item.digest, len(item.body))
            for platform, manifests in made.items()
            for item in manifests
            if item.media_type == member_type
        ]
        if len(members) < len(made):
            continue  # Docker's forms cannot name zstd layers
        body = render_index(members, media_type)
        digests[media_type] = hashlib.sha256(body).hexdigest()
        images.store(
            session,
            lock_hash=first.lock.hash,
            plan=plan,
            media_type=media_type,
            digest=digests[media_type],
            manifest=body,
            config_digest="",
            size=0,
            blobs=[Blob(member.digest, member_type, member.size) for member in members],
        )
    return digests[OCI_INDEX]

"""The image: layers straight out of packages, a config and manifests; an index where there are several platforms."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from condarium.conda.pieces.codec import Compression, codec
from condarium.conda.pieces.layer import LAYER_FORMAT
from condarium.database import base_images, images
from condarium.database.images import Blob, Rendering
from condarium.database.pieces import Known
from condarium.domain.canonical import canonical_hash
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
from condarium.domain.image.index import MEMBER_TYPES, OCI_INDEX, IndexMember, render_index
from condarium.domain.image.options import ImageOptions
from condarium.domain.image.order_table import TABLE_VERSION
from condarium.domain.image.plan import PLAN_VERSION, plan_layers
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock
from condarium.errors import InputFault
from condarium.storage import blob_key
from services.packager.children import Desk
from services.packager.handlers import Made, Task, Work
from services.packager.layers import Compiling, Layers, choose_python, ensure_layers

#: goes up when anything changes that the other parts of a plan do not say
IMAGE_FORMAT = 2
#: link scripts of packages that an installer might have run, and nobody ran for this image
NOT_RUN = "condarium.link-scripts.not-run"
#: there are no .pyc files, because no Python of the lock's version was at hand that runs on the packager's machine
NO_BYTECODE = "condarium.pyc.missing"


@dataclass(frozen=True)
class _Rendered:
    """The image of one platform: digests and lengths of its manifests by media type, and what is to be recorded."""

    lock: Lock
    plan: str
    made: images.Made
    new: Sequence[Rendering] = ()
    note: str | None = None

    def record(self, session: Session) -> None:
        if self.new:
            images.store(session, self.new, lock_hash=self.lock.hash, plan=self.plan, size=self.made.size)


class _NotPossible(InputFault):
    """There is no image for one platform; others may have one."""


def make_image(
    work: Work, children: Desk, task: Task, *, lost: Callable[[], bool], compression: Compression = "gzip"
) -> Made:
    """The image of every platform that can have one; its digest is that of the OCI manifest, or of the OCI index.

    Raises InputFault where no platform can, and what `pieces.ensure` raises.
    """
    options = ImageOptions.of(task.build.settings)
    rendered: dict[str, _Rendered] = {}
    left_out: dict[str, str] = {}
    for platform, lock in sorted(task.locks.items()):
        try:
            rendered[platform] = _render(work, children, lock, task.locks, options, compression, lost)
        except _NotPossible as error:
            left_out[platform] = str(error)
    if not rendered:
        raise InputFault("; ".join(left_out.values()), reason="no-image-for-platform")
    index = _index(rendered) if len(rendered) > 1 else None

    def record(session: Session) -> None:
        for one in rendered.values():
            one.record(session)
        if index is not None:
            index.record(session)

    first = index or next(iter(rendered.values()))
    digest = first.made.digests[OCI_INDEX if index else OCI_MANIFEST]
    size = sum(one.made.size for one in rendered.values())
    notes = [f"without {platform}: {why}" for platform, why in left_out.items()]
    notes += [f"{platform} is {one.note}" for platform, one in rendered.items() if one.note]
    notes += [said for platform, one in rendered.items() if (said := _warning(platform, one.made))]
    return Made(digest, size, note="; ".join(notes) or None, record=record)


def _render(
    work: Work,
    children: Desk,
    lock: Lock,
    locks: Mapping[str, Lock],
    options: ImageOptions,
    compression: Compression,
    lost: Callable[[], bool],
) -> _Rendered:
    """Raises _NotPossible."""
    with work.database.transaction() as session:
        base = _base(session, lock.platform, options)
    compiling = choose_python(work, children, lock, locks) if options.pyc else Compiling()
    plan = _plan(work, base, options, compression, compiling)
    with work.database.transaction() as session:
        made = images.find(session, lock.hash, plan)
    if made is not None:
        return _Rendered(lock, plan, made, note=compiling.note)
    groups = plan_layers(lock, budget=work.settings.layer_budget, base_layers=len(base.layers))
    found = ensure_layers(work, children, lock, groups, compression=compression, compiling=compiling, lost=lost)
    layers = [_layer(piece, group, compression) for piece, group in zip(found.groups, groups, strict=True)]
    top, note = found.top, layer_note(["the environment"])
    layers.append(ImageLayer(top.digest, top.details["diff_id"], top.size, note, compression))
    image = render_image(lock, base, layers, options=options, annotations=_annotations(found, compiling))
    work.storage.put(blob_key(image.config_digest), image.config)
    made, new = _manifests(image, [*base.layers, *layers])
    return _Rendered(lock, plan, made, new, compiling.note)


def _base(session: Session, platform: str, options: ImageOptions) -> BaseImage:
    """What images of that platform stand on. Raises _NotPossible."""
    try:
        architecture(platform)
    except InputFault as error:
        raise _NotPossible(str(error), reason=error.reason) from None
    if options.base:
        base = base_images.named(session, platform, options.base)
        said = f"no base image called {options.base!r} is stored for {platform}, which the setting image_base names"
    else:
        base = base_images.default(session, platform)
        said = f"no base image is stored for {platform}"
    if base is None:
        raise _NotPossible(
            f"{said}; an administrator can pull or import one (python -m services.packager.bases), or make one "
            "(python -m deploy.base_image DIRECTORY) and start a packager with CONDARIUM_BASE_IMAGE=DIRECTORY",
            reason="no-base-image",
        )
    return base


def _plan(work: Work, base: BaseImage, options: ImageOptions, compression: Compression, compiling: Compiling) -> str:
    """The hash of everything besides the lock that decides the bytes of an image."""
    versions = [IMAGE_FORMAT, LAYER_FORMAT, PLAN_VERSION, TABLE_VERSION, codec(compression).key]
    budget, bytecode = work.settings.layer_budget, [compiling.identity, compiling.note is not None]
    return canonical_hash(["image", *versions, PREFIX, budget, base.identity, options.identity, bytecode])


def _layer(piece: Known, members: Sequence[Member], compression: Compression) -> ImageLayer:
    note = layer_note([f"{member.name} {member.version}" for member in members])
    return ImageLayer(piece.digest, piece.details["diff_id"], piece.size, note, compression)


def _annotations(found: Layers, compiling: Compiling) -> dict[str, str]:
    """What an image says of itself besides its layers: a function of them."""
    scripts = {NOT_RUN: ",".join(sorted(set(found.link_scripts)))} if found.link_scripts else {}
    return scripts | ({NO_BYTECODE: "true"} if compiling.note else {})


def _warning(platform: str, made: images.Made) -> str | None:
    scripts = made.annotations.get(NOT_RUN, "").split(",")
    if scripts == [""]:
        return None
    shown = ", ".join(scripts[:10]) + (f" and {len(scripts) - 10} more" if len(scripts) > 10 else "")
    return f"warning: in {platform} the link scripts of packages were not run (setting link_scripts): {shown}"


def _manifests(image: Image, layers: Sequence[ImageLayer]) -> tuple[images.Made, list[Rendering]]:
    blobs = tuple(Blob(layer.digest, f"layer+{layer.compression}", layer.size) for layer in layers)
    named = (*blobs, Blob(image.config_digest, "config", len(image.config)))
    new = [
        Rendering(media_type, image.manifest_digest(media_type), body, image.config_digest, named)
        for media_type, body in image.manifests.items()
    ]
    return _made(new, sum(layer.size for layer in layers)), new


def _made(new: Sequence[Rendering], size: int) -> images.Made:
    return images.made_of([(one.media_type, one.digest, one.manifest) for one in new], size)


def _index(rendered: Mapping[str, _Rendered]) -> _Rendered:
    """In both encodings, where Docker's can name all the images; under the lock of the first platform."""
    plan = canonical_hash(["index", {platform: [one.lock.hash, one.plan] for platform, one in rendered.items()}])
    new = []
    for media_type, member_type in MEMBER_TYPES.items():
        if not all(member_type in one.made.digests for one in rendered.values()):
            continue
        members = [
            IndexMember(platform, one.made.digests[member_type], one.made.lengths[member_type])
            for platform, one in rendered.items()
        ]
        body = render_index(members, media_type)
        named = tuple(Blob(member.digest, member_type, member.size) for member in members)
        new.append(Rendering(media_type, hashlib.sha256(body).hexdigest(), body, "", named))
    return _Rendered(rendered[min(rendered)].lock, plan, _made(new, 0), new)

"""The kinds of artifacts, in conda-store's words where it has one, and where storage keeps them."""

from enum import StrEnum


class ArtifactType(StrEnum):
    #: conda-lock v1 as JSON, what conda-store's clients download
    LOCKFILE = "LOCKFILE"
    #: environment.yml with pins
    YAML = "YAML"
    #: the whole log of the build
    LOGS = "LOGS"
    #: the tarball, gzip
    CONDA_PACK = "CONDA_PACK"
    #: the tarball, zstd
    CONDA_PACK_ZST = "CONDA_PACK_ZST"
    #: the self-extracting installer, a shell script
    CONSTRUCTOR_INSTALLER = "CONSTRUCTOR_INSTALLER"
    #: conda-lock v1 as YAML
    CONDA_LOCK = "CONDA_LOCK"
    #: `@EXPLICIT` with hashes, of the builder's own platform
    EXPLICIT = "EXPLICIT"
    #: the lock of rattler and pixi
    RATTLER_LOCK = "RATTLER_LOCK"
    #: the image, all its platforms
    DOCKER_MANIFEST = "DOCKER_MANIFEST"
    #: the same image with layers in zstd, for clients that ask for a tag with -zstd at its end
    DOCKER_MANIFEST_ZSTD = "DOCKER_MANIFEST_ZSTD"


class ArtifactState(StrEnum):
    REQUESTED = "REQUESTED"
    #: a packager holds its lease
    MAKING = "MAKING"
    #: final
    READY = "READY"
    #: final until somebody asks for a retry; the reason says why
    FAILED = "FAILED"


#: the images of a build; they come after its other artifacts unless somebody waits for them
IMAGES = (ArtifactType.DOCKER_MANIFEST, ArtifactType.DOCKER_MANIFEST_ZSTD)

#: what is put together out of members when it is served
ARCHIVES = (ArtifactType.CONDA_PACK, ArtifactType.CONDA_PACK_ZST, ArtifactType.CONSTRUCTOR_INSTALLER)

UNFINISHED = (ArtifactState.REQUESTED, ArtifactState.MAKING)

#: conda-store's key formats, and ours in the same way
_KEYS = {
    ArtifactType.LOCKFILE: "lockfile/{}.json",
    ArtifactType.YAML: "yaml/{}.yml",
    ArtifactType.LOGS: "logs/{}.log",
    ArtifactType.CONDA_PACK: "archive/{}.tar.gz",
    ArtifactType.CONDA_PACK_ZST: "archive/{}.tar.zst",
    ArtifactType.CONSTRUCTOR_INSTALLER: "installer/{}.sh",
    ArtifactType.CONDA_LOCK: "lockfile/{}.conda-lock.yml",
    ArtifactType.EXPLICIT: "lockfile/{}.explicit.txt",
    ArtifactType.RATTLER_LOCK: "lockfile/{}.pixi.lock",
    ArtifactType.DOCKER_MANIFEST: "docker/manifest/{}",
    ArtifactType.DOCKER_MANIFEST_ZSTD: "docker/manifest/{}-zstd",
}


def artifact_key(artifact_type: ArtifactType, build_key: str) -> str:
    """The name of an artifact as clients see it. Storage holds nothing at the keys of tarballs and images: they are
    put together out of pieces when they are served."""
    return _KEYS[artifact_type].format(build_key)


def key_folders() -> frozenset[str]:
    """The first parts of the keys of all artifacts."""
    return frozenset(form.partition("/")[0] for form in _KEYS.values())

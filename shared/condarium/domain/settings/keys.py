"""The register of settings: conda-store's keys in its order, then ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from condarium.domain.artifact import ArtifactType

DEFAULT_ALIAS = "https://conda.anaconda.org"


class Scope(StrEnum):
    """Where a key may be set besides the deployment."""

    GLOBAL = "global"
    NAMESPACE = "global, namespace"
    ANY = "global, namespace, environment"


class Kind(StrEnum):
    """What a value is; `values` checks it."""

    TEXT = "text"
    COUNT = "a whole number"
    LIMIT = "a whole number or null"
    SECONDS = "seconds"
    BOOLEAN = "true or false"
    MODE = "permissions in octal digits"
    URL = "an address"
    CHANNELS = "a list of channels"
    PACKAGES = "a list of match specs"
    REQUIREMENTS = "a list of pip requirements"
    PLATFORMS = "a list of platforms"
    INDEXED_PLATFORMS = "a list of platforms, noarch among them"
    ARTIFACTS = "a list of artifact types"
    NAME = "a name"
    USER = "a user of a container"
    DIRECTORY = "a directory of a container"
    LABELS = "an object of labels of images"
    VIRTUAL_PACKAGES = "an object of lists of virtual packages by platform"


@dataclass(frozen=True)
class Key:
    """`effect` is a sentence for people. `guarded`: only an administrator of the installation changes it.

    `fixed`: why it cannot be changed while Condarium runs.
    """

    kind: Kind
    scope: Scope
    default: Any
    effect: str
    guarded: bool = False
    fixed: str | None = None


_FILES = "files belong to the builder's own user, are read-only for others, and are made with umask 022"

KEYS: Mapping[str, Key] = {
    "default_namespace": Key(
        Kind.TEXT,
        Scope.GLOBAL,
        "default",
        "the namespace that is meant where none is named",
        fixed="every service reads CONDARIUM_DEFAULT_NAMESPACE at its start",
    ),
    "filesystem_namespace": Key(
        Kind.TEXT,
        Scope.GLOBAL,
        "filesystem",
        "nothing: each watched directory has a namespace of its own",
        fixed="CONDARIUM_WATCHER_DIRECTORIES says which namespace a watched directory feeds",
    ),
    "default_uid": Key(Kind.LIMIT, Scope.GLOBAL, None, "nothing", fixed=_FILES),
    "default_gid": Key(Kind.LIMIT, Scope.GLOBAL, None, "nothing", fixed=_FILES),
    "default_permissions": Key(Kind.MODE, Scope.GLOBAL, "755", "nothing", fixed=_FILES),
    "storage_threshold": Key(
        Kind.COUNT,
        Scope.GLOBAL,
        0,
        "bytes that must be free on the store's disk, or no build is started; besides "
        "CONDARIUM_BUILDER_DISK_HARD_PERCENT",
    ),
    "conda_command": Key(
        Kind.TEXT, Scope.GLOBAL, "mamba", "nothing: py-rattler solves and links, whatever command is named here"
    ),
    "conda_platforms": Key(
        Kind.INDEXED_PLATFORMS,
        Scope.GLOBAL,
        [],
        "the platforms that packages are listed for, and the only ones that may be built for; empty: those of "
        "conda_solve_platforms and noarch are listed, and any may be built for",
    ),
    "conda_max_solve_time": Key(Kind.SECONDS, Scope.GLOBAL, 300, "the longest that a solve may take"),
    "conda_indexed_channels": Key(
        Kind.CHANNELS, Scope.GLOBAL, ["conda-forge"], "the channels whose packages are listed and searched"
    ),
    "build_artifacts_kept_on_deletion": Key(
        Kind.ARTIFACTS,
        Scope.GLOBAL,
        [ArtifactType.LOGS.value],
        "the artifacts of a deleted build that clearing up leaves",
    ),
    "conda_solve_platforms": Key(
        Kind.PLATFORMS, Scope.ANY, ["linux-64"], "the platforms of a specification that names none"
    ),
    "conda_channel_alias": Key(
        Kind.URL, Scope.ANY, DEFAULT_ALIAS, "what the name of a channel is appended to, to make its address"
    ),
    "conda_default_channels": Key(
        Kind.CHANNELS, Scope.ANY, ["conda-forge"], "the channels of a specification that names none"
    ),
    "conda_allowed_channels": Key(
        Kind.CHANNELS, Scope.ANY, [], "the only channels that a specification may name; empty: any"
    ),
    "conda_default_packages": Key(Kind.PACKAGES, Scope.ANY, [], "the dependencies of a specification that has none"),
    "conda_required_packages": Key(
        Kind.PACKAGES, Scope.ANY, [], "the packages that a specification must name, whatever their version"
    ),
    "conda_included_packages": Key(
        Kind.PACKAGES, Scope.ANY, [], "what is added to the dependencies, unless the package is among them"
    ),
    "pypi_default_packages": Key(Kind.REQUIREMENTS, Scope.ANY, [], "the pip section of a specification that has none"),
    "pypi_required_packages": Key(
        Kind.REQUIREMENTS, Scope.ANY, [], "the packages that a pip section must name, whatever their version"
    ),
    "pypi_included_packages": Key(
        Kind.REQUIREMENTS, Scope.ANY, [], "what is added to the pip section, unless the package is in it"
    ),
    "build_artifacts": Key(
        Kind.ARTIFACTS,
        Scope.ANY,
        [
            ArtifactType.LOCKFILE.value,
            ArtifactType.YAML.value,
            ArtifactType.LOGS.value,
            ArtifactType.CONDA_PACK.value,
            ArtifactType.DOCKER_MANIFEST.value,
        ],
        "what is made of every build without being asked; the rest is made when somebody wants it",
    ),
    # Ours.
    "virtual_packages": Key(
        Kind.VIRTUAL_PACKAGES,
        Scope.ANY,
        {},
        "what the machines that run an environment have, such as __cuda or a newer __glibc, by platform",
    ),
    "link_scripts": Key(
        Kind.BOOLEAN,
        Scope.ANY,
        False,
        "whether the link scripts of packages (code of strangers) are run, in a prefix linked by copy",
        guarded=True,
    ),
    "image_base": Key(
        Kind.NAME,
        Scope.ANY,
        None,
        "the name of the stored base image that images stand on; null: the default one of each platform",
    ),
    "image_user": Key(
        Kind.USER,
        Scope.ANY,
        None,
        "the user, and perhaps group, that a container runs as, best as numbers: 1000:1000; null: the base image's",
    ),
    "image_workdir": Key(
        Kind.DIRECTORY, Scope.ANY, None, "the directory that a container starts in; null: the base image's, or /"
    ),
    "image_labels": Key(Kind.LABELS, Scope.ANY, {}, "labels of the images"),
    "image_pyc": Key(
        Kind.BOOLEAN,
        Scope.ANY,
        True,
        "whether images hold .pyc files, made by the environment's own Python: they start faster and are larger",
    ),
    "quota_builds": Key(Kind.LIMIT, Scope.NAMESPACE, None, "the most builds of a namespace; null: any", guarded=True),
    "quota_bytes": Key(
        Kind.LIMIT,
        Scope.NAMESPACE,
        None,
        "the most bytes that a namespace may use before it takes no more builds; null: any",
        guarded=True,
    ),
    "quota_concurrent_builds": Key(
        Kind.LIMIT,
        Scope.NAMESPACE,
        None,
        "the most builds of a namespace that are queued or running at a time; null: any",
        guarded=True,
    ),
    "garbage": Key(
        Kind.BOOLEAN, Scope.GLOBAL, True, "whether what nothing needs any more is deleted, without being asked"
    ),
    "garbage_grace_seconds": Key(
        Kind.COUNT,
        Scope.GLOBAL,
        86400,
        "how long what nothing needs any more stays, for those who are just using it",
    ),
    "garbage_interval_seconds": Key(
        Kind.COUNT, Scope.GLOBAL, 3600, "how often it is looked for what nothing needs any more"
    ),
    "keep_generations": Key(
        Kind.COUNT,
        Scope.ANY,
        5,
        "how many of the newest completed builds of an environment are kept besides the current one; the rest comes "
        "back when somebody asks for it",
    ),
    "keep_on_demand_days": Key(
        Kind.COUNT, Scope.GLOBAL, 7, "how long an image that was asked for by packages is kept after its last pull"
    ),
    "keep_caches_days": Key(
        Kind.COUNT, Scope.GLOBAL, 7, "how long packages, archives and pieces that nothing needs stay in caches"
    ),
    "keep_logs_days": Key(
        Kind.COUNT, Scope.GLOBAL, 90, "how long the logs of builds stay that are not kept themselves"
    ),
    "keep_events_days": Key(Kind.COUNT, Scope.GLOBAL, 7, "how far back events can be read again"),
    "on_demand_channels": Key(
        Kind.CHANNELS,
        Scope.NAMESPACE,
        [],
        "the channels of images that are asked for by their packages; empty: conda_default_channels",
    ),
    "on_demand_shell_packages": Key(
        Kind.PACKAGES,
        Scope.NAMESPACE,
        ["bash", "coreutils"],
        "what `shell` in an image's name adds, as far as the channels have it",
    ),
    "on_demand_fresh_seconds": Key(
        Kind.COUNT,
        Scope.NAMESPACE,
        24 * 3600,
        "how long the latest image of packages is served before it is solved again",
    ),
    "on_demand_builds_per_hour": Key(
        Kind.LIMIT,
        Scope.NAMESPACE,
        60,
        "the most builds in an hour that pulls by packages of one user or address start; null: any",
        guarded=True,
    ),
    "on_demand_anonymous": Key(
        Kind.BOOLEAN,
        Scope.NAMESPACE,
        False,
        "whether a pull by packages without login starts a build, where it may pull",
        guarded=True,
    ),
}

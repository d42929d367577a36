"""rattler's lockfile, which pixi calls pixi.lock: versions 4 to 7, as py-rattler reads them."""

import dataclasses
from collections.abc import Iterator, Mapping

from condarium.domain.credentials import show
from condarium.domain.lockfile import LockedPackage, Lockfile
from condarium.domain.lockfile.fields import (
    check_platform,
    checked,
    conda_package,
    hash_of,
    mapping,
    text,
    wheel,
    word,
)
from condarium.domain.lockfile.origin import Origin
from condarium.domain.specification.channels import check_channel
from condarium.domain.specification.nodes import Entries, Node, Scalar, describe, fault, list_of

VERSIONS = ("4", "5", "6", "7")
DEFAULT = "default"


def read(document: Entries, origins: Mapping[str, Origin], *, local: bool) -> Lockfile:
    """`origins` are what the comment at the top says. Raises SpecificationError."""
    version = word(document.entries.get("version"), "version", document.line)
    if version not in VERSIONS:
        raise fault(
            f"found version {show(version)} of rattler's lockfile; allowed are {', '.join(VERSIONS)}",
            line=document.line,
            field="version",
        )
    environment = _environment(mapping(document.entries.get("environments"), "environments", document.line))
    known = _known(document)
    by_platform = mapping(environment.entries.get("packages"), "packages", environment.line)
    packages: list[tuple[int, LockedPackage]] = []
    for platform, listed in by_platform.entries.items():
        check_platform(platform, by_platform.lines[platform], "packages")
        for item in list_of(listed, f"packages.{platform}"):
            packages.append((item.line, _package(item, platform, known, local=local)))
    field = "channels"
    channels = [
        check_channel(
            word(mapping(item, field, item.line).entries.get("url"), field, item.line), item.line, field, local=local
        )
        for item in list_of(environment.entries.get(field), field)
    ]
    platforms = tuple(by_platform.entries)
    machines = _machines(document)
    found = {name: origins.get(name) or Origin(virtual_packages=machines[name]) for name in {*origins, *machines}}
    ours = {name: found[name] for name in platforms if name in found}
    return Lockfile(tuple(dict.fromkeys(channels)), platforms, checked(packages), ours, source="pixi.lock")


def _environment(every: Entries) -> Entries:
    names = list(every.entries)
    if DEFAULT not in names and len(names) != 1:
        raise fault(
            f"the environments are {', '.join(map(show, names)) or 'none'}; one called default is taken, or the only "
            "one",
            line=every.line,
            field="environments",
        )
    name = DEFAULT if DEFAULT in names else names[0]
    return mapping(every.entries[name], f"environments.{name}", every.line)


def _known(document: Entries) -> dict[str, Entries]:
    """What the list of packages says, by address."""
    known: dict[str, Entries] = {}
    for item in list_of(document.entries.get("packages"), "packages"):
        entry = mapping(item, "packages", item.line)
        for key in ("conda", "pypi", "url", "path"):
            node = entry.entries.get(key)
            if isinstance(node, Scalar):
                known.setdefault(node.text, entry)
    return known


def _package(node: Node, platform: str, known: Mapping[str, Entries], *, local: bool) -> LockedPackage:
    entry = mapping(node, "packages", node.line)
    kind = next((kind for kind in ("conda", "pypi") if kind in entry.entries), None)
    if kind is None:
        raise fault("found neither conda: nor pypi:", line=entry.line, field="packages")
    url = word(entry.entries[kind], kind, entry.line)
    about = known.get(url)
    if about is None:
        raise fault(f"the list of packages says nothing of {show(url)}", line=entry.line, field=kind)
    sha256 = hash_of(text(about.entries.get("sha256"), "sha256", about.line, needed=False), "sha256", about.line)
    md5 = hash_of(text(about.entries.get("md5"), "md5", about.line, needed=False), "md5", about.line)
    if not url.startswith(("https://", "http://", "file:///")):
        raise fault(
            f"{show(url)} is built from sources that only you have; packages at http(s) URLs are allowed",
            line=entry.line,
            field=kind,
        )
    if kind == "pypi":
        return wheel(url, platform, entry.line, sha256=sha256, local=local)
    found = conda_package(url, platform, entry.line, sha256=sha256, md5=md5, local=local)
    depends = dict(_depends(about))
    return dataclasses.replace(found, dependencies=depends)


def _depends(about: Entries) -> Iterator[tuple[str, str]]:
    for item in list_of(about.entries.get("depends"), "depends"):
        name, _, rest = word(item, "depends", item.line).partition(" ")
        yield name, rest


def _machines(document: Entries) -> dict[str, tuple[str, ...]]:
    """The virtual packages of each platform, which version 7 holds."""
    found: dict[str, tuple[str, ...]] = {}
    for item in list_of(document.entries.get("platforms"), "platforms"):
        if isinstance(item, Scalar):
            continue
        entry = mapping(item, "platforms", item.line)
        name = word(entry.entries.get("name"), "platforms.name", entry.line)
        virtual = list_of(entry.entries.get("virtual-packages"), "virtual-packages")
        texts = tuple(sorted(_virtual(each) for each in virtual))
        if texts:
            found[name] = texts
    return found


def _virtual(node: Node) -> str:
    shown = word(node, "virtual-packages", node.line)
    name, _, rest = shown.partition("=")
    version, _, build = rest.partition("=")
    if not name.startswith("__") or not all(
        part.replace(".", "").replace("_", "").isalnum() for part in (version, build) if part
    ):
        raise fault(f"{describe(node)} is no virtual package such as __glibc=2.28=0", line=node.line)
    return f"{name}={version or '0'}={build or '0'}"

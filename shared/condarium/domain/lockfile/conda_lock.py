"""conda-lock's first version, YAML or JSON."""

import dataclasses

from condarium.domain.credentials import has_credential, show
from condarium.domain.lockfile import CONDA, PIP, LockedPackage, Lockfile
from condarium.domain.lockfile.fields import (
    CREDENTIAL,
    check_platform,
    checked,
    conda_package,
    hash_of,
    mapping,
    text,
    wheel,
    word,
)
from condarium.domain.lockfile.origin import KEY, Origin, parse_origins
from condarium.domain.specification.channels import check_channel
from condarium.domain.specification.fields import CheckMatchSpec
from condarium.domain.specification.nodes import Entries, Node, fault, list_of

#: what `conda-lock install` installs when nobody says otherwise
INSTALLED = ("main", "dev")


def read(document: Entries, *, check_match_spec: CheckMatchSpec, local: bool) -> Lockfile:
    """Raises SpecificationError."""
    version = word(document.entries.get("version"), "version", document.line)
    if version != "1":
        raise fault(
            f"found version {show(version)} of conda-lock's format; allowed is 1", line=document.line, field="version"
        )
    metadata = mapping(document.entries.get("metadata"), "metadata", document.line)
    platforms = tuple(
        check_platform(word(item, "metadata.platforms", item.line), item.line, "metadata.platforms")
        for item in list_of(metadata.entries.get("platforms"), "metadata.platforms")
    )
    packages = [
        (item.line, found)
        for item in list_of(document.entries.get("package"), "package")
        if (found := _package(item, local=local)) is not None
    ]
    strange = next(((line, item) for line, item in packages if item.platform not in platforms), None)
    if strange is not None:
        raise fault(
            f"{strange[1].name} is for {strange[1].platform}, which metadata.platforms does not name",
            line=strange[0],
            field="platform",
        )
    return Lockfile(
        channels=_channels(metadata, local=local),
        platforms=tuple(dict.fromkeys(platforms)),
        packages=checked(packages),
        origins=_origins(metadata, check_match_spec, local=local),
        content_hash=_content_hash(metadata),
    )


def _package(node: Node, *, local: bool) -> LockedPackage | None:
    """None for what `conda-lock install` leaves out."""
    entry = mapping(node, "package", node.line)
    part, line = entry.entries.get, entry.line
    name = word(part("name"), "package.name", line)
    if (text(part("category"), "category", line, needed=False) or "main") not in INSTALLED:
        return None
    platform = check_platform(word(part("platform"), "platform", line), line, "platform")
    url = word(part("url"), "url", line)
    hashes = mapping(part("hash"), f"hash of {name}", line)
    sha256 = hash_of(text(hashes.entries.get("sha256"), "sha256", line, needed=False), "sha256", hashes.line)
    md5 = hash_of(text(hashes.entries.get("md5"), "md5", line, needed=False), "md5", hashes.line)
    manager = word(part("manager"), "manager", line)
    if manager == PIP:
        return wheel(url, platform, line, sha256=sha256, local=local)
    if manager != CONDA:
        raise fault(f"{show(manager)} is no manager; allowed are conda and pip", line=line, field="manager")
    found = conda_package(url, platform, line, sha256=sha256, md5=md5, local=local)
    version = word(part("version"), "version", line)
    if (found.name, found.version) != (name.lower(), version):
        raise fault(f"{show(f'{name} {version}')} is not what is at {show(url)}", line=line, field="url")
    dependencies = part("dependencies")
    if not isinstance(dependencies, Entries):
        return found
    named = {key: text(item, "dependencies", line, needed=False) or "" for key, item in dependencies.entries.items()}
    if any(has_credential(item) for item in (*named, *named.values())):
        raise fault(CREDENTIAL, line=line, field="dependencies")
    return dataclasses.replace(found, dependencies=named)


def _channels(metadata: Entries, *, local: bool) -> tuple[str, ...]:
    """conda-lock writes objects, and once wrote names."""
    field, found = "metadata.channels", []
    for item in list_of(metadata.entries.get("channels"), field):
        url = word(item.entries.get("url") if isinstance(item, Entries) else item, field, item.line)
        if has_credential(url) or "$" in url:
            raise fault(CREDENTIAL, line=item.line, field=field)
        found.append(check_channel(url, item.line, field, local=local))
    return tuple(dict.fromkeys(found))


def _content_hash(metadata: Entries) -> dict[str, str]:
    node = metadata.entries.get("content_hash")
    if not isinstance(node, Entries):
        return {}
    return {platform: word(item, "metadata.content_hash", item.line)[:128] for platform, item in node.entries.items()}


def _origins(metadata: Entries, check_match_spec: CheckMatchSpec, *, local: bool) -> dict[str, Origin]:
    custom = metadata.entries.get("custom_metadata")
    node = custom.entries.get(KEY) if isinstance(custom, Entries) else None
    if node is None:
        return {}
    written = word(node, f"custom_metadata.{KEY}", node.line)
    return parse_origins(written, node.line, check_match_spec=check_match_spec, local=local)

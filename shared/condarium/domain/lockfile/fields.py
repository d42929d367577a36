"""What the formats of lockfiles have in common: addresses, hashes and names, checked, each fault with its line."""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from condarium.domain.credentials import has_credential, show
from condarium.domain.lockfile import CONDA, PIP, LockedPackage
from condarium.domain.specification.channels import PLATFORMS, check_channel
from condarium.domain.specification.nodes import Entries, Node, Scalar, describe, fault

CREDENTIAL = (
    "found a URL with a credential in it (not shown); credentials are settings of the server: "
    "CONDARIUM_CHANNEL_CREDENTIALS holds those of channels, CONDARIUM_PIP_INDEX_URL that of the package index"
)
MOST_PACKAGES = 20_000
_ADDRESS = re.compile(r"https?://[^\s?#\\/]+/[^\s?#\\]*[^\s?#\\/]\Z")
_ARCHIVE = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)-(?P<version>[A-Za-z0-9_.!+~]+)-(?P<build>[A-Za-z0-9_.+]+)"
    r"(?:\.conda|\.tar\.bz2)\Z"
)
_WHEEL = re.compile(r"[A-Za-z0-9_.+!-]+\.whl\Z")
_SHA256, _MD5 = re.compile(r"[0-9a-fA-F]{64}\Z"), re.compile(r"[0-9a-fA-F]{32}\Z")


def check_platform(text: str, line: int, field: str) -> str:
    if text not in PLATFORMS:
        raise fault(f"{show(text)} is no platform; allowed are {', '.join(PLATFORMS)}", line=line, field=field)
    return text


def conda_package(
    url: str, platform: str | None, line: int, *, sha256: str | None, md5: str | None, local: bool
) -> LockedPackage:
    """The package at a URL `CHANNEL/SUBDIR/NAME-VERSION-BUILD.conda`; its platform is the URL's when None is given
    (perhaps `noarch`, which the caller replaces).

    Raises SpecificationError.
    """
    _check_address(url, line, local=local)
    channel, _, rest = url.rpartition("/")
    channel, _, subdir = channel.rpartition("/")
    named = _ARCHIVE.match(unquote(rest))
    if named is None:
        raise fault(
            f"{show(url)} is no conda package; allowed is CHANNEL/SUBDIR/NAME-VERSION-BUILD.conda (or .tar.bz2)",
            line=line,
            field="url",
        )
    if subdir not in (*PLATFORMS, "noarch"):
        raise fault(f"{show(url)} lies in {show(subdir)}, which is no platform", line=line, field="url")
    if platform is not None and subdir not in (platform, "noarch"):
        raise fault(f"{show(url)} is a package for {subdir}, listed for {platform}", line=line, field="url")
    check_channel(channel, line, "url", local=local)
    if sha256 is None and md5 is None:
        raise fault(
            f"{show(url)} has no hash, so that its bytes cannot be verified; add #sha256:... (or #md5: "
            "`conda list --explicit --md5` writes them)",
            line=line,
            field="hash",
        )
    return LockedPackage(named["name"].lower(), named["version"], CONDA, platform or subdir, url, sha256, md5)


def wheel(url: str, platform: str, line: int, *, sha256: str | None, local: bool) -> LockedPackage:
    """The wheel at a URL. Raises SpecificationError."""
    _check_address(url, line, local=local)
    filename = unquote(url.rsplit("/", 1)[-1])
    if not _WHEEL.match(filename):
        raise fault(f"{show(url)} is no wheel; only wheels (.whl) are installed", line=line, field="url")
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise fault(f"{show(filename)} names no wheel: {error}", line=line, field="url") from None
    if sha256 is None:
        raise fault(f"the wheel {show(filename)} has no sha256; it cannot be verified", line=line, field="hash")
    return LockedPackage(name, str(version), PIP, platform, url, sha256)


def _check_address(url: str, line: int, *, local: bool) -> None:
    if has_credential(url) or "${" in url:
        raise fault(CREDENTIAL, line=line, field="url")
    if len(url) > 2048:
        raise fault(f"found {len(url):,} characters; at most 2,048 are allowed", line=line, field="url")
    if url.isascii() and (_ADDRESS.match(url) or (local and url.startswith("file:///"))):
        return
    allowed = "an http(s) URL without ? and #"
    raise fault(f"{show(url)} is no address of a package; allowed is {allowed}", line=line, field="url")


def hash_of(text: str | None, kind: str, line: int) -> str | None:
    """`text` as the hash of that kind (sha256 or md5), in lower case; None for none. Raises SpecificationError."""
    if text is None:
        return None
    pattern = _SHA256 if kind == "sha256" else _MD5
    if not pattern.match(text):
        length = 64 if kind == "sha256" else 32
        raise fault(f"{show(text)} is no {kind}; {length} hex digits are", line=line, field=kind)
    return text.lower()


def checked(packages: Sequence[tuple[int, LockedPackage]]) -> tuple[LockedPackage, ...]:
    """The packages with their lines: one of each name for a platform; the same one twice is one.

    Raises SpecificationError.
    """
    found: dict[tuple[str, str, str], tuple[int, LockedPackage]] = {}
    for line, item in packages:
        key = (item.platform, item.manager, item.name)
        first = found.setdefault(key, (line, item))
        if first[1].url != item.url:
            raise fault(
                f"{item.name} is there twice for {item.platform} (first in line {first[0]}); an environment holds one",
                line=line,
            )
    if not found:
        raise fault("the lockfile names no package")
    if len(found) > MOST_PACKAGES:
        raise fault(f"found {len(found):,} packages; at most {MOST_PACKAGES:,} are allowed")
    return tuple(item for _, item in found.values())


def text(node: Node | None, field: str, line: int, *, needed: bool = True) -> str | None:
    """A single value, whatever it looks like: versions and hashes look like numbers. Raises SpecificationError."""
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        if needed:
            raise fault("it is missing", line=line, field=field)
        return None
    if not isinstance(node, Scalar):
        raise fault(f"found {describe(node)}; allowed is text", line=node.line, field=field)
    return node.text


def word(node: Node | None, field: str, line: int) -> str:
    """As `text`, of what must be there."""
    found = text(node, field, line)
    assert found is not None
    return found


def mapping(node: Node | None, field: str, line: int | None) -> Entries:
    """Raises SpecificationError."""
    if not isinstance(node, Entries):
        found = "nothing" if node is None else describe(node)
        at = line if node is None else node.line
        raise fault(f"found {found}; allowed is a mapping", line=at, field=field)
    return node

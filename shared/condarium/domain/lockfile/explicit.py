"""Explicit lists (CEP 23): `@EXPLICIT`, then the URLs of one platform's packages with their hashes."""

import dataclasses
import re

from condarium.domain.credentials import has_credential, show
from condarium.domain.lockfile import CONDA, LockedPackage, Lockfile
from condarium.domain.lockfile.fields import CREDENTIAL, check_platform, checked, conda_package, hash_of, wheel
from condarium.domain.lockfile.origin import COMMENT, parse_origins
from condarium.domain.specification.fields import CheckMatchSpec
from condarium.domain.specification.nodes import fault

MARK = "@EXPLICIT"
_PLATFORM = re.compile(r"#\s*platform:\s*(\S+)\s*\Z")
#: how conda-lock writes wheels into its explicit lists
_WHEEL = re.compile(r"# pip \S+ @ (?P<url>\S+?)(?:#sha256=| --hash=sha256:)(?P<sha256>[0-9a-fA-F]+)\s*\Z")


def is_explicit(text: str) -> bool:
    return any(line.strip() == MARK for line in text.splitlines())


def read(text: str, *, platform: str, check_match_spec: CheckMatchSpec, local: bool) -> Lockfile:
    """`platform` is meant where neither a comment nor a package says which. Raises SpecificationError."""
    named: str | None = None
    found: list[tuple[int, LockedPackage]] = []
    wheels: list[tuple[int, re.Match[str]]] = []
    origins = {}
    begun = False
    for number, line in enumerate((raw.strip() for raw in text.split("\n")), 1):
        if line == MARK:
            begun = True
        elif line.startswith(COMMENT):
            origins = parse_origins(line.removeprefix(COMMENT), number, check_match_spec=check_match_spec, local=local)
        elif match := _PLATFORM.match(line):
            named = check_platform(match[1], number, "platform")
        elif match := _WHEEL.match(line):
            wheels.append((number, match))
        elif line and not line.startswith("#"):
            if not begun:
                raise fault(f"found {show(line)} before {MARK}", line=number)
            found.append((number, _package(line, number, local=local)))
    target = named or _platform_of(found) or platform
    packages = [(line, _for(item, target, line)) for line, item in found]
    packages += [
        (line, wheel(match["url"], target, line, sha256=hash_of(match["sha256"], "sha256", line), local=local))
        for line, match in wheels
    ]
    every = checked(packages)
    channels = tuple(dict.fromkeys(item.channel for item in every if item.manager == CONDA))
    ours = {name: origin for name, origin in origins.items() if name == target}
    return Lockfile(channels, (target,), every, ours, source="explicit.txt")


def _package(line: str, number: int, *, local: bool) -> LockedPackage:
    if has_credential(line):
        raise fault(CREDENTIAL, line=number)
    url, _, text = line.partition("#")
    kind, colon, digits = text.rpartition(":")
    if colon and kind not in ("sha256", "md5"):
        raise fault(f"{show(kind)} is no kind of hash; allowed are sha256: and an md5 alone", line=number)
    kind = kind or ("sha256" if len(digits) == 64 else "md5")
    digest = hash_of(digits, kind, number) if digits else None
    sha256, md5 = (digest, None) if kind == "sha256" else (None, digest)
    return conda_package(url, None, number, sha256=sha256, md5=md5, local=local)


def _platform_of(found: list[tuple[int, LockedPackage]]) -> str | None:
    return next((item.platform for _, item in found if item.platform != "noarch"), None)


def _for(item: LockedPackage, platform: str, line: int) -> LockedPackage:
    if item.subdir not in (platform, "noarch"):
        raise fault(f"{show(item.url)} is a package for {item.subdir}, the others are for {platform}", line=line)
    return dataclasses.replace(item, platform=platform)

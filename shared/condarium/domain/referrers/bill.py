"""The packages of an image, as bills of materials name them: a function of the image's locks and of nothing else."""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from condarium.domain.canonical import canonical_hash
from condarium.domain.lock import Lock, Record, Wheel

#: goes up when a bill of the same locks gets other bytes
BILL_FORMAT = 1
#: bills hold no time of their own: the same locks, the same bytes
FIXED_TIME = "1970-01-01T00:00:00Z"

_ALIAS = "https://conda.anaconda.org/"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_UNFIT = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True)
class Licence:
    """`expression` is one of SPDX, with LicenseRef- for what it has no word for; `named` is the record's own text
    where the two differ in more than case, else empty."""

    expression: str
    named: str = ""


@dataclass(frozen=True)
class Component:
    """A package; `depends_on` holds purls of others, sorted. `size` in bytes, 0 where it is not known."""

    purl: str
    name: str
    version: str
    filename: str
    url: str
    sha256: str
    md5: str | None
    size: int
    licence: Licence | None
    summary: str = ""
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bill:
    """Components sorted by purl; `top` are the purls of what was asked for, or is needed by no other package."""

    identity: str
    platforms: tuple[str, ...]
    components: tuple[Component, ...]
    top: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"conda-environment-{self.identity[:12]}"

    @property
    def serial(self) -> uuid.UUID:
        """The same for the same locks."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"urn:condarium:bill:{BILL_FORMAT}:{self.identity}")


def bill_of(locks: Sequence[Lock]) -> Bill:
    """The bill of an image (one lock), or of an index (the locks of its images)."""
    ordered = sorted(locks, key=lambda lock: lock.platform)
    found: dict[str, Component] = {}
    top: set[str] = set()
    for lock in ordered:
        of_lock = list(_components(lock))
        top |= _top(lock, of_lock)
        for one in of_lock:
            known = found.get(one.purl)
            # a noarch package may stand in several locks, with other dependencies in each
            depends = {*one.depends_on, *known.depends_on} if known else set(one.depends_on)
            found[one.purl] = replace(one, depends_on=tuple(sorted(depends)))
    hashes = [lock.hash for lock in ordered]
    return Bill(
        hashes[0] if len(hashes) == 1 else canonical_hash(list(hashes)),
        tuple(lock.platform for lock in ordered),
        tuple(found[purl] for purl in sorted(found)),
        tuple(sorted(top)),
    )


def purl_of(package: Record | Wheel) -> str:
    """`pkg:conda/name@version?build=...&channel=...&subdir=...&type=...`, or `pkg:pypi/name@version`."""
    if isinstance(package, Wheel):
        name = re.sub(r"[-_.]+", "-", package.name).lower()
        return f"pkg:pypi/{_quoted(name)}@{_quoted(package.version)}"
    qualifiers = {
        "build": package.build,
        "channel": package.channel.removeprefix(_ALIAS).rstrip("/"),
        "subdir": package.subdir,
        "type": "tar.bz2" if package.filename.endswith(".tar.bz2") else "conda",
    }
    said = "&".join(f"{key}={_quoted(value)}" for key, value in qualifiers.items() if value)
    return f"pkg:conda/{_quoted(package.name.lower())}@{_quoted(package.version)}?{said}"


@lru_cache(maxsize=4096)
def licence_of(text: str) -> Licence:
    """An SPDX expression where `text` is one, else a reference that carries its name."""
    try:
        return Licence(str(canonicalize_license_expression(text)))
    except InvalidLicenseExpression:
        fit = _UNFIT.sub("-", text).strip("-.")[:100] or "unnamed"
        return Licence(f"LicenseRef-{fit}", text)


def _components(lock: Lock) -> Iterator[Component]:
    purls = {record.name.lower(): purl_of(record) for record in lock.conda}
    for record in lock.conda:
        names = {match[0].lower() for text in record.depends if (match := _NAME.match(text.split("::")[-1].strip()))}
        yield Component(
            purl_of(record),
            record.name,
            record.version,
            record.filename,
            record.url,
            record.sha256,
            record.md5,
            record.size,
            licence_of(record.license) if record.license else None,
            depends_on=tuple(sorted({purls[name] for name in names if name in purls and name != record.name.lower()})),
        )
    for wheel in lock.pypi:
        # a lock does not say what wheels need; all of them need the Python that they were locked for
        needs = (purls["python"],) if "python" in purls else ()
        yield Component(
            purl_of(wheel),
            wheel.name,
            wheel.version,
            wheel.filename,
            wheel.url,
            wheel.sha256,
            None,
            wheel.size,
            None,
            depends_on=needs,
        )


def _top(lock: Lock, components: Sequence[Component]) -> set[str]:
    asked = {match[0].lower() for text in lock.requested if (match := _NAME.match(text.split("::")[-1].strip()))}
    needed = {purl for one in components for purl in one.depends_on}
    return {one.purl for one in components if one.purl not in needed or one.name.lower() in asked}


def _quoted(text: str) -> str:
    return quote(text, safe="")

"""What Condarium writes beside the packages of its lockfiles, so that one which is handed in again gives the same lock.

Formats of lockfiles hold packages. The hash of a lock covers more: what was asked for, for which machine, with which
variables. conda-lock has a place for it (`custom_metadata`), the other formats carry it as a comment.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from condarium.domain.credentials import has_credential
from condarium.domain.lock import Lock
from condarium.domain.specification.channels import CREDENTIAL, PLATFORMS, check_channel
from condarium.domain.specification.nodes import Entries, Node, Scalar, fault, list_of, text_of
from condarium.domain.specification.reading import read_yaml
from condarium.domain.specification.variables import parse_variables
from condarium.errors import SpecificationError

#: the key in conda-lock's custom_metadata, and the word that begins the comment
KEY = "condarium"
COMMENT = f"# {KEY}: "
_VIRTUAL = re.compile(r"__[a-z0-9_]+=[A-Za-z0-9._]+=[A-Za-z0-9._]+\Z")


@dataclass(frozen=True)
class Origin:
    """Of one platform; `sizes` are those of its wheels in bytes, by file name."""

    channels: tuple[str, ...] = ()
    requested: tuple[str, ...] = ()
    virtual_packages: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


def origins_of(locks: Iterable[Lock]) -> dict[str, Origin]:
    """What has to be written beside the packages of `locks`."""
    return {
        lock.platform: Origin(
            channels=lock.channels,
            requested=tuple(sorted(lock.requested)),
            virtual_packages=tuple(sorted(lock.virtual_packages)),
            variables=dict(sorted(lock.variables.items())),
            sizes={wheel.filename: wheel.size for wheel in sorted(lock.pypi, key=lambda wheel: wheel.name)},
        )
        for lock in sorted(locks, key=lambda lock: lock.platform)
    }


def write_origins(origins: Mapping[str, Origin]) -> str:
    """One line of JSON."""
    shown = {platform: asdict(origin) for platform, origin in origins.items()}
    return json.dumps(shown, sort_keys=True, separators=(",", ":"))


def read_origins(text: str | None) -> dict[str, Origin]:
    """What `write_origins` wrote; for text that was checked."""
    return {
        platform: Origin(
            channels=tuple(content["channels"]),
            requested=tuple(content["requested"]),
            virtual_packages=tuple(content["virtual_packages"]),
            variables=content["variables"],
            sizes=content["sizes"],
        )
        for platform, content in json.loads(text or "{}").items()
    }


def parse_origins(text: str, line: int, *, check_match_spec: Any, local: bool) -> dict[str, Origin]:
    """As `read_origins`, for the text of a user.

    Raises:
        SpecificationError: it was changed into something that no lock can hold.
    """
    try:
        document = read_yaml(text, slack=16)
        return {
            platform: _origin(platform, node, check_match_spec, local=local)
            for platform, node in document.entries.items()
        }
    except SpecificationError as error:
        raise fault(f"what Condarium wrote beside the packages was changed: {error}", line=line, field=KEY) from None


def _origin(platform: str, node: Node, check_match_spec: Any, *, local: bool) -> Origin:
    if platform not in PLATFORMS or not isinstance(node, Entries):
        raise fault("platforms and what belongs to them are expected", field=platform[:40])
    part = node.entries.get
    variables, _ = parse_variables(part("variables"))
    return Origin(
        channels=tuple(
            check_channel(text, 1, "channels", local=local) for text in _texts(part("channels"), "channels")
        ),
        requested=tuple(_match_specs(_texts(part("requested"), "requested"), check_match_spec)),
        virtual_packages=tuple(_virtual(_texts(part("virtual_packages"), "virtual_packages"))),
        variables=variables,
        sizes=_sizes(part("sizes")),
    )


def _texts(node: Node | None, field: str) -> list[str]:
    return [text_of(item, field, "text") for item in list_of(node, field)]


def _match_specs(texts: Sequence[str], check: Any) -> Sequence[str]:
    for text in texts:
        if has_credential(text):
            raise fault(CREDENTIAL, field="requested")
        try:
            check(text)
        except Exception as error:
            raise fault(" ".join(str(error).split())[:300], field="requested") from None
    return texts


def _virtual(texts: Sequence[str]) -> Sequence[str]:
    for text in texts:
        if not _VIRTUAL.match(text):
            raise fault(f"{text[:80]!r} is no virtual package such as __glibc=2.28=0", field="virtual_packages")
    return texts


def _sizes(node: Node | None) -> dict[str, int]:
    if not isinstance(node, Entries):
        return {}
    sizes = {}
    for name, item in node.entries.items():
        if not isinstance(item, Scalar) or not item.text.isdecimal() or len(item.text) > 15:
            raise fault("a size is a number of bytes", field="sizes")
        sizes[name] = int(item.text)
    return sizes

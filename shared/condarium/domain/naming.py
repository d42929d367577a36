"""Names of namespaces and environments, and the forms they take in OCI, in tags, in build keys and on disk."""

import re
from dataclasses import dataclass
from typing import Literal

from condarium.domain.credentials import show
from condarium.errors import InvalidInput

NameKind = Literal["namespace", "environment"]

MAX_NAME = 64
MAX_PREFIX_PATH = 199
MAX_TAG = 128
RESERVED_NAMESPACES = frozenset({"dynamic", "conda-store-dynamic", "envs", "generations", "v2"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
_ESCAPE = re.compile(r"--x([0-9a-f]{2})")
# An OCI component may not begin with the escape's dashes; no other encoding holds `--x` before an x.
_LEADING = "x--x"
_BUILD_KEY = re.compile(r"([0-9a-f]{8})-([0-9]{1,12})-([0-9]{1,18})-(.+)\Z", re.DOTALL)


def check_name(kind: NameKind, value: str) -> str:
    """`value`, when it may name a namespace or an environment.

    Raises:
        InvalidInput: with what was found and what is allowed.
    """
    if not value:
        raise InvalidInput(f"the name of the {kind} is empty; 1 to {MAX_NAME} characters are allowed")
    if not _NAME.match(value):
        raise InvalidInput(
            f"{show(value)} cannot name the {kind}: allowed are 1 to {MAX_NAME} of A-Z a-z 0-9 . _ + -, "
            "the first a letter or digit"
        )
    if "--x" in value:
        raise InvalidInput(f"{show(value)} cannot name the {kind}: '--x' is kept for the escapes of image names")
    if kind == "namespace" and value.lower() in RESERVED_NAMESPACES:
        raise InvalidInput(
            f"{show(value)} cannot name the {kind}: it is reserved ({', '.join(sorted(RESERVED_NAMESPACES))})"
        )
    return value


def encode_oci(name: str) -> str:
    """A checked name as a component of an OCI repository: lower-case passes, every other byte is `--xHH`.

    Dots, dashes and underscores pass where OCI allows them (single, between letters or digits).
    """
    parts = re.split(r"([._-]+)", name)
    encoded = ""
    for position, part in enumerate(parts):
        if position % 2 == 0:
            encoded += re.sub(r"[^a-z0-9]", lambda match: _escape(match[0]), part)
            continue
        following = parts[position + 1]
        dashes = not part.strip("-")
        legal = following != "" and (dashes or (part in {".", "_", "__"} and re.match(r"[a-z0-9]", following)))
        encoded += part if legal else "".join(_escape(character) for character in part)
    return f"{_LEADING}{encoded[2:]}" if encoded.startswith("--x") else encoded


def decode_oci(component: str) -> str | None:
    """The name that `encode_oci` made this of; None for what it never makes."""
    name = unescape_oci(component)
    if not _NAME.match(name) or "--x" in name or encode_oci(name) != component:
        return None
    return name


def unescape_oci(component: str) -> str:
    """The text of a component, whatever it names: each `--xHH` is a character."""
    inner = f"--{component[len(_LEADING) :]}" if component.startswith(_LEADING + "x") else component
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), inner)


def encode_tag(text: str) -> str | None:
    """A build key as a tag (`+` as `--x2b`); None where it is longer than the 128 characters of a tag."""
    encoded = text.replace("+", _escape("+"))
    return encoded if len(encoded) <= MAX_TAG else None


def decode_tag(tag: str) -> str:
    """The text that `encode_tag` made this of."""
    return tag.replace(_escape("+"), "+")


def _escape(character: str) -> str:
    return f"--x{ord(character):02x}"


@dataclass(frozen=True)
class BuildKey:
    """`{specification hash[:8]}-{unix time scheduled}-{build id}-{environment}`, as conda-store's second format."""

    specification: str
    scheduled_at: int
    build_id: int
    environment: str

    def __str__(self) -> str:
        return f"{self.specification[:8]}-{self.scheduled_at}-{self.build_id}-{self.environment}"


def build_key(specification_hash: str, scheduled_at: int, build_id: int, environment: str) -> str:
    """The build key; `scheduled_at` in seconds since 1970."""
    return str(BuildKey(specification_hash, scheduled_at, build_id, environment))


def parse_build_key(text: str) -> BuildKey | None:
    """The parts of a build key, or None when `text` is none."""
    match = _BUILD_KEY.match(text)
    if not match or not _NAME.match(match[4]):
        return None
    return BuildKey(match[1], int(match[2]), int(match[3]), match[4])


def prefix_name(lock_hash: str, environment: str) -> str:
    """The directory of a prefix below `{store}/{namespace}`."""
    return f"{lock_hash[:12]}-{environment}"


def check_prefix_path(store: str, namespace: str, environment: str) -> None:
    """Whether a prefix of these names fits: conda's placeholders leave room for paths under 200 characters.

    Raises:
        InvalidInput: the path of the prefix would be too long.
    """
    length = len(f"{store.rstrip('/')}/{namespace}/{prefix_name('0' * 12, environment)}".encode())
    if length > MAX_PREFIX_PATH:
        raise InvalidInput(
            f"the prefix of {namespace}/{environment} would have a path of {length} bytes; at most {MAX_PREFIX_PATH} "
            f"are allowed, use names shorter by {length - MAX_PREFIX_PATH}"
        )

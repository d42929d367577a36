"""Channels, as the list of them or a dependency names them."""

import re

from condarium.domain.credentials import has_credential, show
from condarium.domain.specification.nodes import Node, fault, list_of, text_of

MAX_CHANNELS = 64
MAX_CHANNEL = 2048

# What Condarium can solve for: platforms whose virtual packages have defaults (a test compares).
PLATFORMS = (
    "linux-64",
    "linux-aarch64",
    "linux-ppc64le",
    "linux-riscv64",
    "linux-s390x",
    "osx-64",
    "osx-arm64",
    "win-64",
    "win-arm64",
)
# The last part of `channel/subdir::package`: platforms as conda has named them.
_SUBDIR = re.compile(r"(?:linux|osx|win|freebsd|emscripten|wasi|zos|ios|iossimulator|android)-[a-z0-9]+\Z|noarch\Z")

CREDENTIAL = (
    "found a URL with a credential in it (not shown); credentials are settings of the server: "
    "CONDARIUM_CHANNEL_CREDENTIALS holds those of channels"
)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*\Z")
_URL = re.compile(r"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[^\s?#\\]*)?\Z")
_BRACKET = re.compile(r"""[\[,]\s*channel\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,\]]*))""")


def parse_channels(node: Node | None, *, local: bool) -> tuple[tuple[str, ...], bool]:
    """The channels in order, each once, and whether `nodefaults` was among them."""
    channels: dict[str, None] = {}
    nodefaults = False
    for item in list_of(node, "channels"):
        text = text_of(item, "channels", "a channel's name such as conda-forge, or its http(s) URL").strip()
        if text == "nodefaults":
            nodefaults = True
        else:
            channels[check_channel(text, item.line, "channels", local=local)] = None
    if len(channels) > MAX_CHANNELS:
        line = node.line if node else None
        raise fault(f"found {len(channels)}; at most {MAX_CHANNELS} are allowed", line=line, field="channels")
    return tuple(channels), nodefaults


def check_channel(text: str, line: int, field: str, *, local: bool) -> str:
    """A channel without the slash at its end; `local` allows `file:///` ones.

    Raises:
        SpecificationError: a credential, a directory, or neither a name nor a URL.
    """
    if has_credential(text) or text.lower().startswith("t/"):
        raise fault(CREDENTIAL, line=line, field=field)
    channel = text.rstrip("/")
    if len(channel) > MAX_CHANNEL:
        raise fault(f"found {len(channel):,} characters; at most {MAX_CHANNEL:,} are allowed", line=line, field=field)
    if _NAME.match(channel) or _URL.match(channel) or (local and channel.startswith("file:///")):
        return channel
    if text.lower().startswith(("file:", "/", "./", "../", "~")):
        raise fault(
            f"{show(text)} is a directory, and the builders may have another there; name the channel, and let the "
            "server's CONDARIUM_CHANNEL_MIRRORS say where it lies",
            line=line,
            field=field,
        )
    raise fault(
        f"{show(text)} is no channel; allowed are a name such as conda-forge or conda-forge/label/test, an http(s) URL "
        "without ? and #, and nodefaults",
        line=line,
        field=field,
    )


def channel_of(match_spec: str) -> str | None:
    """The channel in `channel::package` or `[channel=...]`, without a subdir; None where no channel is named."""
    head = match_spec.split("[", 1)[0]
    return _without_subdir(head.rsplit("::", 1)[0]) if "::" in head else bracketed_channel_of(match_spec)


def bracketed_channel_of(match_spec: str) -> str | None:
    """The channel in `[channel=...]`, whatever stands before it; None where there is none."""
    bracket = _BRACKET.search(match_spec)
    return _without_subdir(next(group for group in bracket.groups() if group is not None)) if bracket else None


def _without_subdir(text: str) -> str:
    channel = text.strip()
    parent, _, last = channel.rstrip("/").rpartition("/")
    return parent if parent and _SUBDIR.match(last) else channel.rstrip("/")

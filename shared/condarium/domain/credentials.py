"""Finding and hiding credentials in URLs, so that none is stored, logged or sent back."""

import re

REDACTED = "***"
_SHOWN = 80
_READ = 8 * 1024

# Every repetition is bounded: these run over whatever a stranger sends, and must stay linear.
_PATTERNS = (
    # scheme://user:secret@host and scheme://token@host
    re.compile(r"(?P<before>://)[^\s/\\?#'\"<>@]{1,1024}(?:@[^\s/\\?#'\"<>@]{0,256}){0,3}(?=@)"),
    # A password with a raw slash, as people paste it; `host:8080/path@tag` is none.
    re.compile(r"(?P<before>://)[^\s/@:?#'\"<>]{1,256}:(?!\d{1,5}(?:[/?#]|$))[^\s@'\"<>]{0,512}(?=@)"),
    # Anaconda's tokens: https://host/t/TOKEN/channel, and t/TOKEN/channel where a channel's name stands.
    re.compile(r"(?P<before>(?:^|[/\s'\"=(,])t/)[^/\s'\"*][^/\s'\"]{0,512}(?=/|::)", re.IGNORECASE),
    re.compile(
        r"(?P<before>://[^/\s'\"]{1,256}(?:/[^/\s'\"]{1,256}){0,4}/t/)[^/\s'\"*][^/\s'\"]{0,512}", re.IGNORECASE
    ),
)


def has_credential(text: str) -> bool:
    """Whether `text` holds a URL with a user part, or a channel with a /t/TOKEN/ part."""
    return any(pattern.search(text) for pattern in _PATTERNS)


def redact(text: str) -> str:
    """`text` with every credential of a URL replaced by ***."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<before>{REDACTED}", text)
    return text


def show(text: str) -> str:
    """`text` for a message: quoted, at most 80 characters, without credentials."""
    if len(text) > _READ:
        return f"a text of {len(text):,} characters"
    shown = redact(text)
    return repr(shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "...")

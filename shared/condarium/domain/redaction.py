"""Keeping known secrets out of every text that leaves: logs, events, errors, replies. Pure."""

import base64
from collections.abc import Iterable
from urllib.parse import quote, unquote

from condarium.domain import credentials

REDACTED = credentials.REDACTED
# Shorter secrets would blank out ordinary words; a secret of this length protects nothing anyway.
_SHORTEST = 4


def forms_of(secrets: Iterable[str]) -> tuple[str, ...]:
    """The literal spellings to look for, longest first: as given, percent-encoded, decoded, in base64."""
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) < _SHORTEST:
            continue
        forms |= {secret, quote(secret, safe=""), unquote(secret), base64.b64encode(secret.encode()).decode()}
    return tuple(sorted((form for form in forms if len(form) >= _SHORTEST), key=lambda form: (-len(form), form)))


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets` in any spelling, and without the credential of any URL."""
    for form in forms_of(secrets):
        text = text.replace(form, REDACTED)
    return credentials.redact(text)

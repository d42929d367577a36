"""Canonical JSON, the form that is hashed: sorted keys, no white space, UTF-8."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical_json(value: Mapping[str, Any] | list[Any]) -> bytes:
    """The one byte string that stands for `value`; raises ValueError on NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def canonical_hash(value: Mapping[str, Any] | list[Any]) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()

"""environment.yml with everything pinned: for people, and for tools that read nothing else."""

import json
import re
from collections.abc import Mapping

from condarium.conda.lockfiles.header import header
from condarium.domain.lock import Lock, Record

_ALIAS = "https://conda.anaconda.org/"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./+=!-]*(?:::?[A-Za-z0-9_./+=!-]+)*\Z")
# Words that are no text in YAML 1.1 or 1.2.
_NO_TEXT = re.compile(r"(?:y|n|yes|no|on|off|true|false|null)\Z", re.IGNORECASE)
# Line breaks of YAML, and what it wants escaped.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def environment_yml(lock: Lock, name: str, *, description: str = "", mirrored: Mapping[str, str] | None = None) -> str:
    """One platform's packages as `name=version=build`, wheels as `name==version`, and the variables."""
    lines = [f"name: {scalar(name)}"]
    if description:
        lines.append(f"description: {scalar(description)}")
    lines.append("channels:")
    lines.extend(f"  - {scalar(_short(channel))}" for channel in lock.channels)
    # Without it conda adds the channels of its own configuration, and may take a package from there.
    lines.append("  - nodefaults")
    lines.append("dependencies:")
    lines.extend(f"  - {scalar(_pin(record, lock))}" for record in sorted(lock.conda, key=lambda record: record.name))
    if lock.pypi:
        lines.append("  - pip:")
        wheels = sorted(lock.pypi, key=lambda wheel: wheel.name)
        lines.extend(f"      - {scalar(f'{wheel.name}=={wheel.version}')}" for wheel in wheels)
    if lock.variables:
        lines.append("variables:")
        lines.extend(f"  {key}: {quoted(value)}" for key, value in sorted(lock.variables.items()))
    lines.append("platforms:")
    lines.append(f"  - {lock.platform}")
    return header([lock], mirrored, "conda env create --file THIS_FILE") + "".join(f"{line}\n" for line in lines)


def _pin(record: Record, lock: Lock) -> str:
    """A package of another channel than the first names it: the same version may lie in both."""
    channel = record.channel.rstrip("/")
    pin = f"{record.name}={record.version}={record.build}"
    return pin if not lock.channels or channel == lock.channels[0] else f"{_short(channel)}::{pin}"


def _short(channel: str) -> str:
    return channel.removeprefix(_ALIAS)


def scalar(text: str) -> str:
    """`text` as a YAML value, quoted only where it must be."""
    return text if _PLAIN.match(text) and not _NO_TEXT.match(text) else quoted(text)


def quoted(text: str) -> str:
    """`text` in double quotes; JSON's are YAML's, but for some characters that YAML takes as line breaks."""
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))

"""conda-lock's format, version 1: what conda-lock, micromamba and conda-store's clients read."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from condarium.conda.lockfiles.header import by_platform, channels_of, header, name_of, topologically
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.lockfile.origin import KEY, origins_of, write_origins

# YAML 1.2 reads `12e3` as a number, and a hash may look like that; PyYAML, at 1.1, would leave it bare.
_LIKE_A_NUMBER = re.compile(r"[-+.0-9][0-9eExXoO_.:+-]*\Z")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """The C one where it is: ten times faster, and the same bytes (a test compares them)."""


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    node = dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if _LIKE_A_NUMBER.match(text) else None)
    assert isinstance(node, yaml.ScalarNode)
    return node


_Dumper.add_representer(str, _represent_text)


def conda_lock_yaml(locks: Sequence[Lock], *, mirrored: Mapping[str, str] | None = None) -> str:
    """conda-lock.yml. Raises ValueError for no lock, or two of one platform."""
    locks = by_platform(locks)
    body = yaml.dump(
        conda_lock_document(locks), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**20, indent=2
    )
    return header(locks, mirrored, "conda-lock install --name NAME THIS_FILE") + str(body)


def conda_lock_json(locks: Sequence[Lock]) -> str:
    """The same document as JSON, as conda-store serves it. Raises ValueError as `conda_lock_yaml`."""
    return json.dumps(conda_lock_document(by_platform(locks)), indent=2, ensure_ascii=False) + "\n"


def conda_lock_document(locks: Sequence[Lock]) -> dict[str, Any]:
    """The document; the content hash of a platform is the hash of its lock."""
    packages: list[dict[str, Any]] = []
    for lock in locks:
        packages.extend(_conda_package(record, lock.platform) for record in topologically(lock.conda))
        wheels = sorted(lock.pypi, key=lambda wheel: wheel.name)
        packages.extend(_wheel(wheel, lock.platform) for wheel in wheels)
    return {
        "version": 1,
        "metadata": {
            "content_hash": {lock.platform: lock.hash for lock in locks},
            "channels": [{"url": url, "used_env_vars": []} for url in channels_of(locks)],
            "platforms": [lock.platform for lock in locks],
            "sources": ["environment.yml"],
            "custom_metadata": {KEY: write_origins(origins_of(locks))},
        },
        "package": packages,
    }


def _conda_package(record: Record, platform: str) -> dict[str, Any]:
    # conda-lock itself insists on md5, which every known channel has.
    md5 = {"md5": record.md5} if record.md5 else {}
    return _package(record.name, record.version, "conda", platform, _dependencies(record), record.url) | {
        "hash": {**md5, "sha256": record.sha256},
        "category": "main",
        "optional": False,
    }


def _wheel(wheel: Wheel, platform: str) -> dict[str, Any]:
    return _package(wheel.name, wheel.version, "pip", platform, {}, wheel.url) | {
        "hash": {"sha256": wheel.sha256},
        "category": "main",
        "optional": False,
    }


def _package(
    name: str, version: str, manager: str, platform: str, dependencies: dict[str, str], url: str
) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "manager": manager,
        "platform": platform,
        "dependencies": dependencies,
        "url": url,
    }


def _dependencies(record: Record) -> dict[str, str]:
    """name -> constraint; two lines of one name are joined where the format can say it, else the later one stays."""
    found: dict[str, str] = {}
    for text in record.depends:
        name = name_of(text)
        constraint = text.strip()[len(name) :].strip()
        before = found.get(name)
        joinable = before and constraint and not any(letter in before + constraint for letter in " |[")
        found[name] = f"{before},{constraint}" if joinable else constraint or before or ""
    return dict(sorted(found.items()))

"""The pip section: requirements to exact wheels, for the solved Python and platform, by `uv pip compile`.

What conda provides takes part as a constraint: stand-in wheels without dependencies tell uv of versions that an
index may not have (as wheels, or at all), and nothing that conda provides is locked a second time.
"""

import re
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from condarium.conda import virtual
from condarium.conda.disk import is_disk_fault
from condarium.conda.pypi_names import provided
from condarium.conda.uv import Finished, Uv
from condarium.conda.wheels import tags as wheel_tags
from condarium.domain.credentials import has_credential, redact
from condarium.domain.lock import Record, Wheel
from condarium.errors import InputFault, WorldFault

_WORLD = re.compile(
    r"Failed to fetch|Request failed|error sending request|timed out|Could not connect|dns error"
    r"|status server error|unexpected HTML|unexpected JSON|429 Too Many|stream closed|broken pipe",
    re.IGNORECASE,
)

_REFUSED = re.compile(r"\b(?:401|403|407)\b|authentication credentials|Unauthorized|Forbidden", re.IGNORECASE)


@dataclass(frozen=True)
class PipWish:
    """What is to be resolved: the lines, and what conda solved for the platform.

    `refusal` is what is said beside uv's words where an index refuses access.
    """

    platform: str
    requirements: tuple[str, ...]
    records: tuple[Record, ...]
    virtual: tuple[str, ...]
    seconds: float = 300.0
    refusal: str = ""


async def resolve(wish: PipWish, uv: Uv, directory: Path) -> tuple[Wheel, ...]:
    """The wheels to install beside the conda packages, sorted by name; `directory` is for scratch files.

    Raises:
        InputFault: pip-unsolvable, in uv's own words.
        WorldFault: the index cannot be read now.
    """
    python = next((record.version for record in wish.records if record.name == "python"), None)
    if python is None:
        raise InputFault(
            "The specification has a pip section but no Python: add python to its dependencies.",
            reason="pip-unsolvable",
        )
    try:
        tags = _Target.of(wish, python)
    except ValueError as error:
        raise InputFault(f"In the pip section: {error}.", reason="pip-unsolvable") from None
    conda = provided(wish.records)
    arguments = _prepare(directory, wish.requirements, conda, python, tags)
    finished = await uv.run(arguments, directory=directory, seconds=wish.seconds)
    if finished.status != 0:
        raise _fault(finished, wish, conda)
    document = tomllib.loads((directory / "pylock.toml").read_text())
    packages = [entry for entry in document.get("packages", []) if canonicalize_name(entry["name"]) not in conda]
    return tuple(sorted((_wheel(entry, tags) for entry in packages), key=lambda wheel: wheel.name))


def check_fit(platform: str, records: tuple[Record, ...], machine: Sequence[str], wheels: Sequence[Wheel]) -> None:
    """Whether wheels that nobody resolved here can be installed beside the conda packages of a lock.

    Raises InputFault("pip-unsolvable") for one that does not fit the platform or its Python, and without a Python.
    """
    if not wheels:
        return
    python = next((record.version for record in records if record.name == "python"), None)
    if python is None:
        raise InputFault(f"There are wheels for {platform}, but no Python.", reason="pip-unsolvable")
    try:
        tags = _Target.of(PipWish(platform, (), records, tuple(machine)), python).tags
    except ValueError as error:
        raise InputFault(f"The wheels cannot be installed: {error}.", reason="pip-unsolvable") from None
    for wheel in wheels:
        if wheel_tags.best_wheel({wheel.filename: wheel}, tags) is None:
            raise InputFault(f"{wheel.filename} does not fit {platform} with Python {python}.", reason="pip-unsolvable")


@dataclass(frozen=True)
class _Target:
    """The platform in the words of wheels and of uv."""

    uv_platform: str
    tags: tuple[Any, ...]

    @classmethod
    def of(cls, wish: PipWish, python: str) -> "_Target":
        glibc = virtual.version_of(wish.virtual, "__glibc")
        macos = virtual.version_of(wish.virtual, "__osx")
        platforms = wheel_tags.platform_tags(wish.platform, glibc, macos)
        return cls(wheel_tags.uv_platform(wish.platform, glibc), tuple(wheel_tags.tags_for(python, platforms)))


def _prepare(
    directory: Path, requirements: Sequence[str], conda: Mapping[str, str], python: str, target: _Target
) -> list[str]:
    """Write uv's input and return its arguments."""
    (directory / "requirements.in").write_text("".join(f"{line}\n" for line in requirements))
    (directory / "constraints.txt").write_text("".join(f"{name}=={version}\n" for name, version in conda.items()))
    stand_ins = directory / "provided"
    stand_ins.mkdir(exist_ok=True)
    for name, version in conda.items():
        _write_stand_in(stand_ins, name, version)
    return [
        *("pip", "compile", "requirements.in", "--constraints", "constraints.txt", "--find-links", "provided"),
        *("--output-file", "pylock.toml", "--format", "pylock.toml", "--no-header", "--no-annotate", "--quiet"),
        *("--only-binary", ":all:", "--python-version", python, "--python-platform", target.uv_platform),
    ]


def _write_stand_in(folder: Path, name: str, version: str) -> None:
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{stem}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: condarium\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


def _wheel(entry: Mapping[str, Any], target: _Target) -> Wheel:
    """The one wheel of a pylock entry that fits the platform best."""
    name = str(entry["name"])
    files = list(entry.get("wheels", []))
    if "archive" in entry:
        files.append(entry["archive"])
    by_name = {_filename(file): file for file in files}
    chosen = wheel_tags.best_wheel(by_name, target.tags)
    if chosen is None:
        raise InputFault(
            f"No wheel of {name} {entry.get('version', '')} fits the platform; found {', '.join(by_name) or 'none'}.",
            reason="pip-unsolvable",
        )
    file = by_name[chosen]
    url, sha256 = (
        str(file.get("url") or Path(file["path"]).absolute().as_uri()),
        (file.get("hashes") or {}).get("sha256"),
    )
    if not sha256:
        raise InputFault(
            f"The index states no sha256 for {redact(url)}, so that its bytes cannot be verified.",
            reason="pip-unsolvable",
        )
    if has_credential(url):
        parts = urlsplit(url)
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    version = str(entry.get("version") or chosen.split("-")[1])
    return Wheel(name=name, version=version, url=url, sha256=sha256, size=int(file.get("size") or 0), filename=chosen)


def _filename(file: Mapping[str, Any]) -> str:
    named = file.get("name") or urlsplit(str(file.get("url") or file.get("path"))).path
    return unquote(str(named).rsplit("/", 1)[-1])


def _fault(finished: Finished, wish: PipWish, conda: Mapping[str, str]) -> InputFault | WorldFault:
    words = redact(finished.words)
    # Status 1 is "no solution"; 2 is everything else, of which some may pass by themselves.
    if finished.status != 1 and (is_disk_fault(words) or _WORLD.search(words)):
        return WorldFault(f"The package index cannot be read: {words}")
    fixed = [f"{name} {version}" for name, version in conda.items() if re.search(rf"\b{re.escape(name)}\b", words)]
    if wish.refusal and _REFUSED.search(words):
        return InputFault(f"The package index refused access: {words}\n{wish.refusal}", reason="pip-unsolvable")
    note = f"\nFixed by the conda packages: {', '.join(sorted(fixed))}." if fixed else ""
    return InputFault(f"The pip section cannot be resolved for {wish.platform}: {words}{note}", reason="pip-unsolvable")

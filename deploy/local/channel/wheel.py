"""Makes a conda package out of a wheel: noarch for a pure one, linux-64 for one with compiled code."""

import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path, PurePosixPath

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from deploy.local.channel import wheel_metadata
from deploy.local.channel.archive import PLACEHOLDER, File, Package
from deploy.local.channel.elf import is_elf
from deploy.local.channel.interpreter import MINORS
from deploy.local.channel.problem import ChannelError
from deploy.local.channel.system_library import SystemLibraries

# Build tools that make reproducible wheels stamp their members with dates of long ago; a release has a later one.
_EARLIEST_YEAR = 2021


@dataclass(frozen=True)
class Wheel:
    """A wheel that was read: its files by their path in the archive, and what it says about itself."""

    project: str
    version: str
    pure: bool
    glibc: str  # the oldest that its tags allow: "2.17"; "" for a pure one
    info: str  # its dist-info directory
    metadata: Message
    files: dict[str, File]
    date: int | None  # milliseconds

    @property
    def data(self) -> str:
        return self.info.removesuffix(".dist-info") + ".data/"


def convert(path: Path, minor: str, libraries: SystemLibraries, *, bzip2: bool = False) -> Package:
    """The conda package of the wheel at `path`, for CPython `minor` ("3.11") when it has compiled code.

    Raises: ChannelError when the file is not a wheel that can be read.
    """
    wheel = read(path)
    entry_points = wheel_metadata.entry_points(_text(wheel, "entry_points.txt"))
    site = "site-packages/" if wheel.pure else f"lib/python{minor}/site-packages/"
    programs = "python-scripts/" if wheel.pure else "bin/"
    files = _placed(wheel, site, programs)
    if wheel.pure:
        depends = wheel_metadata.requirements(wheel.metadata, MINORS) | {wheel_metadata.python_spec(wheel.metadata)}
    else:
        files |= {f"bin/{name}": script for name, script in _scripts(entry_points).items()}
        depends = wheel_metadata.requirements(wheel.metadata, (minor,)) | _compiled_needs(wheel, minor, libraries)
    return Package(
        name=wheel_metadata.conda_name(wheel.project),
        version=wheel.version,
        build_pattern="pyh{hash}_0" if wheel.pure else f"py{minor.replace('.', '')}h{{hash}}_0",
        files=files,
        depends=tuple(sorted(depends)),
        noarch="python" if wheel.pure else None,
        entry_points=entry_points if wheel.pure else (),
        licence=wheel_metadata.licence(wheel.metadata),
        licence_texts=_licence_texts(wheel),
        summary=(wheel.metadata.get("Summary") or "").strip(),
        home=wheel_metadata.home(wheel.metadata),
        timestamp=wheel.date,
        bzip2=bzip2,
    )


def read(path: Path) -> Wheel:
    """Raises: ChannelError when `path` is not a complete wheel."""
    try:
        project, version, _, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            files = {member.filename: _file(archive, member) for member in members}
    except (InvalidWheelFilename, zipfile.BadZipFile) as error:
        raise ChannelError(f"{path.name} is not a wheel that can be read: {error}; delete it and try again") from error
    info = next((name.partition("/")[0] for name in files if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)), None)
    if info is None or f"{info}/WHEEL" not in files:
        raise ChannelError(f"{path.name} has no dist-info/METADATA and WHEEL; it is not a wheel")
    years = [member.date_time for member in members if member.date_time[0] >= _EARLIEST_YEAR]
    newest = max(years, default=None)
    return Wheel(
        project=str(project),
        version=str(version),
        pure=all(tag.platform == "any" for tag in tags),
        glibc=_oldest_glibc([tag.platform for tag in tags]),
        info=info,
        metadata=wheel_metadata.parse(files[f"{info}/METADATA"].data.decode()),
        files=files,
        date=int(datetime(*newest, tzinfo=UTC).timestamp()) * 1000 if newest else None,
    )


def _file(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> File:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts:
        raise ChannelError(f"{archive.filename} holds {member.filename}, which leads out of it")
    return File(archive.read(member), bool(member.external_attr >> 16 & 0o111))


def _placed(wheel: Wheel, site: str, programs: str) -> dict[str, File]:
    """Every file at its place in an environment, the parts of the .data directory too."""
    folders = {
        "purelib": site,
        "platlib": site,
        "scripts": programs,
        "data": "",
        "headers": f"include/{wheel.project}/",
    }
    placed: dict[str, File] = {}
    for name, file in wheel.files.items():
        if not name.startswith(wheel.data):
            placed[site + name] = file
            continue
        kind, _, rest = name.removeprefix(wheel.data).partition("/")
        if kind not in folders:
            raise ChannelError(f"{wheel.project} {wheel.version} holds {name}; {kind} is no place of an environment")
        placed[folders[kind] + rest] = _script(file) if kind == "scripts" else file
    placed[f"{site}{wheel.info}/INSTALLER"] = File(b"conda\n")
    placed[f"{site}{wheel.info}/REQUESTED"] = File(b"")
    return placed


def _script(file: File) -> File:
    if file.data.startswith(b"#!python"):
        return File(f"#!{PLACEHOLDER}/bin/python".encode() + file.data[8:], True, "text")
    return File(file.data, True)


def _scripts(entry_points: tuple[str, ...]) -> dict[str, File]:
    """The programs of a compiled package; those of a noarch one are written when it is linked."""
    scripts: dict[str, File] = {}
    for entry_point in entry_points:
        command, _, target = (part.strip() for part in entry_point.partition("="))
        module, _, function = target.partition(":")
        text = (
            f"#!{PLACEHOLDER}/bin/python\n# -*- coding: utf-8 -*-\nimport re\nimport sys\n\n"
            f"from {module} import {function.partition('.')[0]}\n\nif __name__ == '__main__':\n"
            "    sys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])\n"
            f"    sys.exit({function}())\n"
        )
        scripts[command] = File(text.encode(), True, "text")
    return scripts


def _compiled_needs(wheel: Wheel, minor: str, libraries: SystemLibraries) -> set[str]:
    major, _, number = minor.partition(".")
    programs = [file.data for file in wheel.files.values() if is_elf(file.data)]
    own = [name.rpartition("/")[2] for name in wheel.files]
    # A library that no Debian package owns, or that is missing here, stays the host's, as on PyPI.
    packages, _ = libraries.requirements(programs, own)
    return packages | {
        f"__glibc >={wheel.glibc},<3.0.a0",
        f"python >={minor},<{major}.{int(number) + 1}.0a0",
        f"python_abi {minor}.* *_cp{major}{number}",
    }


def _oldest_glibc(platforms: list[str]) -> str:
    """The lowest bound of a wheel's tags: manylinux_2_17_x86_64 and manylinux2014_x86_64 are both 2.17."""
    aliases = {"manylinux2014": "2.17", "manylinux2010": "2.12", "manylinux1": "2.5"}
    found = [re.sub(r"manylinux_(\d+)_(\d+)_.*", r"\1.\2", name) for name in platforms if name.startswith("manylinux_")]
    found += [bound for name in platforms for alias, bound in aliases.items() if name.startswith(f"{alias}_")]
    return min(found, key=lambda bound: int(bound.partition(".")[2]), default="2.17")


def _text(wheel: Wheel, name: str) -> str:
    file = wheel.files.get(f"{wheel.info}/{name}")
    return file.data.decode() if file else ""


def _licence_texts(wheel: Wheel) -> dict[str, bytes]:
    inside = re.compile(rf"{re.escape(wheel.info)}/(?:licenses/)?((?:LICEN[CS]E|COPYING|NOTICE)[^/]*)$", re.IGNORECASE)
    return {found[1]: file.data for name, file in wheel.files.items() if (found := inside.match(name))}

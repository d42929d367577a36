"""A wheel laid into a prefix, with the bytes that `uv pip install` writes there.

Left out: `direct_url.json` and `uv_cache.json`, which tell where one machine had the wheel from.
"""

import base64
import configparser
import csv
import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from posixpath import relpath
from typing import BinaryIO

from condarium.conda.archive import bad_package, malformed_as_input_fault, safe_name
from condarium.conda.pieces.entry_points import wheel_script
from condarium.conda.pieces.package_paths import parse_entry_point
from condarium.conda.pieces.placement import PLACEHOLDER, Destination, Laid, Placement, Rewrite
from condarium.conda.pieces.shebang import wheel_shebang
from condarium.conda.pieces.spool import Content, Literal, Spool
from condarium.domain.lock import Wheel
from condarium.errors import InputFault

_OURS = ("RECORD", "INSTALLER", "REQUESTED")  # written anew, whatever the wheel holds
_SMALL_BYTES = 16 << 20


@dataclass(frozen=True)
class _Scheme:
    """Where each kind of a wheel's files goes, relative to the prefix."""

    site_packages: str
    data: str
    headers: str
    scripts: str = "bin"

    def of(self, kind: str) -> str | None:
        return {
            "purelib": self.site_packages,
            "platlib": self.site_packages,
            "scripts": self.scripts,
            "headers": self.headers,
            "data": self.data,
        }.get(kind)


def place_wheel(source: Path | BinaryIO, wheel: Wheel, destination: Destination, spool: Spool) -> Placement:
    """Lay the wheel; contents are readable while `spool` is open.

    Raises InputFault("bad-package") for a malformed wheel, InputFault("link-failed") in an environment without python.
    """
    if destination.site_packages is None:
        raise InputFault(f"{wheel.name} is a Python wheel, but the environment has no python", reason="link-failed")
    with malformed_as_input_fault(wheel.filename), zipfile.ZipFile(source) as archive:
        return _Laying(archive, wheel, destination, destination.site_packages, spool).place()


class _Laying:
    def __init__(
        self, archive: zipfile.ZipFile, wheel: Wheel, destination: Destination, site_packages: str, spool: Spool
    ) -> None:
        self.archive = archive
        self.wheel = wheel
        self.destination = destination
        self.spool = spool
        name = re.sub(r"[-_.]+", "-", wheel.filename.split("-", 1)[0]).lower()
        self.scheme = _Scheme(site_packages, "", f"include/python{destination.python_xy}/{name}")
        self.laid: dict[str, Laid] = {}
        self.rewritten: list[str] = []

    def place(self) -> Placement:
        info_dir = self._info_dir()
        data_dir = info_dir.removesuffix(".dist-info") + ".data"
        self._check_version(info_dir)
        for member in self.archive.infolist():
            name = safe_name(member.filename, self.wheel.filename)
            if name is None or member.is_dir() or name in {f"{info_dir}/{file}" for file in _OURS}:
                continue
            self._lay_member(member, name, data_dir)
        self._lay_entry_points(f"{info_dir}/entry_points.txt")
        self._lay_own_files(f"{self.scheme.site_packages}/{info_dir}")
        rewrites = tuple(Rewrite(path, PLACEHOLDER, "text") for path in self.rewritten)
        return Placement(tuple(self.laid.values()), rewrites if self.destination.prefix is None else ())

    def _info_dir(self) -> str:
        tops = {name.split("/", 1)[0] for name in self.archive.namelist() if "/" in name}
        found = sorted(top for top in tops if top.endswith(".dist-info"))
        if len(found) != 1:
            raise bad_package(self.wheel.filename, f"holds {len(found)} .dist-info directories, not one")
        return found[0]

    def _check_version(self, info_dir: str) -> None:
        headers = BytesHeaderParser().parsebytes(self.archive.read(f"{info_dir}/WHEEL"))
        version = str(headers.get("Wheel-Version", "")).strip()
        if version.split(".")[0] != "1":
            raise bad_package(self.wheel.filename, f"its Wheel-Version is {version!r}; known is 1.x")

    def _lay_member(self, member: zipfile.ZipInfo, name: str, data_dir: str) -> None:
        executable = bool((member.external_attr >> 16) & 0o111)
        if not name.startswith(f"{data_dir}/"):
            self._lay(f"{self.scheme.site_packages}/{name}", self._content(member), executable)
            return
        kind, _, rest = name[len(data_dir) + 1 :].partition("/")
        root = self.scheme.of(kind)
        if root is None or not rest:
            raise bad_package(self.wheel.filename, f"{name} is of a kind that is not known")
        path = f"{root}/{rest}" if root else rest
        if kind == "scripts":
            self._lay_script(path, self._content(member))
        else:
            self._lay(path, self._content(member), executable)

    def _content(self, member: zipfile.ZipInfo) -> Content:
        with self.archive.open(member) as stream:
            return self.spool.add(stream, f"wheel {self.wheel.filename}")  # type: ignore[arg-type]

    def _lay(self, path: str, content: Content, executable: bool) -> None:
        self.laid[path] = Laid(path, content, executable)

    def _lay_script(self, path: str, content: Content) -> None:
        """`#!python` stands for the environment's Python; the rest of that line is dropped, as uv does."""
        if content.size <= _SMALL_BYTES and content.read(0, 8) == b"#!python":
            _, _, rest = content.read(0, content.size).partition(b"\n")
            content = Literal(f"{wheel_shebang(self.destination.script_prefix)}\n".encode() + rest)
            self.rewritten.append(path)
        self._lay(path, content, executable=True)

    def _lay_entry_points(self, name: str) -> None:
        if name not in self.archive.namelist():
            return
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            parser.read_string(self.archive.read(name).decode())
        except configparser.Error as error:
            raise bad_package(self.wheel.filename, f"entry_points.txt: {error}") from error
        for section in ("console_scripts", "gui_scripts"):
            for command, value in parser.items(section) if parser.has_section(section) else ():
                point = parse_entry_point(f"{command}={value.split('[', 1)[0]}")
                path = f"{self.scheme.scripts}/{point.command}"
                self._lay(path, Literal(wheel_script(point, self.destination.script_prefix)), executable=True)
                self.rewritten.append(path)

    def _lay_own_files(self, info_path: str) -> None:
        self._lay(f"{info_path}/INSTALLER", Literal(b"uv"), executable=False)
        self._lay(f"{info_path}/REQUESTED", Literal(b""), executable=False)
        self._lay(f"{info_path}/RECORD", Literal(self._record(f"{info_path}/RECORD")), executable=False)

    def _record(self, own_path: str) -> bytes:
        """Paths relative to site-packages, sorted; no hash for RECORD and for what conda-unpack is going to change."""
        changes = set(self.rewritten) if self.destination.prefix is None else set()
        rows = [(relpath(own_path, self.scheme.site_packages), "", "")]
        for path, laid in self.laid.items():
            assert laid.content is not None
            known = path not in changes
            digest = f"sha256={_urlsafe_sha256(laid.content)}" if known else ""
            rows.append((relpath(path, self.scheme.site_packages), digest, str(laid.content.size) if known else ""))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(sorted(rows))
        return text.getvalue().encode()


def _urlsafe_sha256(content: Content) -> str:
    digest = hashlib.sha256()
    for chunk in content.chunks():
        digest.update(chunk)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()

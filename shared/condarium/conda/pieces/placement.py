"""Where each path of a package goes in a prefix, and with which bytes: the rules of rattler's linking, without linking.

Two ways to lay a package: for a fixed prefix (layers: the placeholder is replaced, as an installer would) and for a
prefix that is not known yet (members of a tarball: the placeholder stays, and `rewrites` lists what conda-unpack has to
replace).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from posixpath import dirname, join, normpath
from typing import Any

from condarium.conda.archive import Directory, File, Package, Symlink, bad_package, safe_name
from condarium.conda.pieces.entry_points import conda_script
from condarium.conda.pieces.package_paths import PathEntry
from condarium.conda.pieces.prefix_patch import Patched, PrefixTooLong, patch_binary, patch_text, strings_with
from condarium.conda.pieces.prefix_record import InstalledPath, prefix_record_json, record_filename
from condarium.conda.pieces.shebang import is_python_shebang, shebang_limit, without_direct_path
from condarium.conda.pieces.spool import Content, Literal
from condarium.domain.lock import Lock, Record
from condarium.errors import InputFault

# Stands for the prefix in the scripts that are made here for a tarball: as long as conda-build's own, so that any
# prefix fits and the scripts take the form that works with long prefixes and spaces.
PLACEHOLDER = ("/opt/condarium_placeholder" + "_placeholder" * 20)[:255]

_LINK_SCRIPT = re.compile(r"bin/\..+-(?:pre|post)-link\.sh")
_NO_HASH = "0" * 64


@dataclass(frozen=True)
class Destination:
    """A prefix, and the Python that noarch packages are laid for. `prefix` None: not known yet, placeholders stay."""

    platform: str
    prefix: str | None
    python_xy: str | None
    site_packages: str | None

    @classmethod
    def of(cls, lock: Lock, prefix: str | None) -> "Destination":
        return cls(lock.platform, prefix, lock.python_xy, lock.site_packages)

    @property
    def script_prefix(self) -> str:
        return PLACEHOLDER if self.prefix is None else self.prefix


@dataclass(frozen=True)
class Laid:
    """One path of a piece, relative to the prefix: a file, a symbolic link (`target`) or a directory (neither).

    `mode` overrides the mode that follows from the kind: 0755 for directories and what is executable, 0644 for other
    files.
    """

    path: str
    content: Content | None = None
    executable: bool = False
    target: str | None = None
    mode: int | None = None


@dataclass(frozen=True)
class Rewrite:
    """A path in which conda-unpack replaces `placeholder`; `mode` is text or binary.

    For installers, which do not search: `strings` are the offsets and lengths of what holds the placeholder in a binary
    file; `shebang_rest` are the bytes of a first line besides the placeholder, where it names another program than
    Python.
    """

    path: str
    placeholder: str
    mode: str
    strings: tuple[tuple[int, int], ...] = ()
    shebang_rest: int | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Rewrite":
        return cls(**{**data, "strings": tuple((start, length) for start, length in data["strings"])})


@dataclass(frozen=True)
class Placement:
    """A package or wheel, laid. `link_scripts` are the scripts that an installer might run; they are never run here."""

    laid: tuple[Laid, ...]
    rewrites: tuple[Rewrite, ...] = ()
    link_scripts: tuple[str, ...] = ()


def place_package(package: Package, record: Record, destination: Destination) -> Placement:
    """Lay a conda package; contents are readable while the package's spool is open. Raises InputFault for a malformed
    package.
    """
    if package.noarch == "python" and destination.site_packages is None:
        raise InputFault(
            f"{record.name} is a noarch Python package, but the environment has no python", reason="link-failed"
        )
    laying = _Laying(package, destination)
    for entry in package.paths:
        laying.lay(entry)
    for point in package.entry_points:
        laying.lay_entry_point(
            conda_script(point, destination.script_prefix, str(destination.python_xy)), point.command
        )
    laying.refuse_paths_through_links()
    meta = Laid(record_filename(record), Literal(prefix_record_json(record, laying.installed)))
    scripts = tuple(sorted(path for path in laying.laid if _LINK_SCRIPT.fullmatch(path)))
    return Placement((*laying.laid.values(), meta), tuple(laying.rewrites), scripts)


def noarch_path(path: str, destination: Destination) -> str:
    """Where a path of a noarch Python package goes."""
    for source, target in (("site-packages/", f"{destination.site_packages}/"), ("python-scripts/", "bin/")):
        if path.startswith(source):
            return target + path[len(source) :]
    return path


class _Laying:
    def __init__(self, package: Package, destination: Destination) -> None:
        self.package = package
        self.destination = destination
        self.laid: dict[str, Laid] = {}
        self.installed: list[InstalledPath] = []
        self.rewrites: list[Rewrite] = []

    def lay(self, entry: PathEntry) -> None:
        source = safe_name(entry.path, self.package.filename)
        file = self.package.files.get(source or "")
        if source is None or file is None:
            if source is not None and entry.path_type == "directory":
                file = Directory()
            else:
                raise bad_package(self.package.filename, f"{entry.path!r} is listed, but not in the archive")
        path = noarch_path(source, self.destination) if self.package.noarch == "python" else source
        if isinstance(file, Directory):
            self.laid[path] = Laid(path)
        elif isinstance(file, Symlink):
            self._lay_symlink(entry, path, source, file)
        elif entry.placeholder and entry.file_mode:
            self._lay_with_prefix(entry, path, file, entry.placeholder, entry.file_mode)
        else:
            self._lay_file(entry, path, file)

    def _lay_file(self, entry: PathEntry, path: str, file: File) -> None:
        self.laid[path] = Laid(path, file.content, file.executable)
        size = file.content.size if entry.size is None else entry.size
        in_prefix = _sha256(file.content) if entry.sha256 is None else None
        self._install(entry, path, sha256_in_prefix=in_prefix, size=size)

    def _lay_symlink(self, entry: PathEntry, path: str, source: str, link: Symlink) -> None:
        if link.target.startswith("/") or _leaves(join(dirname(path), link.target)):
            raise bad_package(self.package.filename, f"the link {path} to {link.target!r} leaves the prefix")
        if entry.no_link:
            self._lay_copy(entry, path, source, link)
            return
        self.laid[path] = Laid(path, target=link.target)
        target = link.target.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
        in_prefix = hashlib.sha256(target).hexdigest()
        size = len(target) if entry.size is None else entry.size
        self._install(entry, path, sha256_in_prefix=in_prefix, size=size)

    def _lay_copy(self, entry: PathEntry, path: str, source: str, link: Symlink) -> None:
        """A path that may not be linked is laid as a copy of what its link points to, as rattler does."""
        target = self.package.files.get(normpath(join(dirname(source), link.target)))
        if not isinstance(target, File):
            raise bad_package(
                self.package.filename, f"the link {path} to {link.target!r} points to no file of the package"
            )
        self.laid[path] = Laid(path, target.content, target.executable)
        size = target.content.size if entry.size is None else entry.size
        self._install(entry, path, sha256_in_prefix=None if entry.sha256 else _NO_HASH, size=size)

    def _lay_with_prefix(self, entry: PathEntry, path: str, file: File, placeholder: str, mode: str) -> None:
        if self.destination.prefix is None:
            content = _portable(file.content, placeholder, mode)
            self.laid[path] = Laid(path, content, file.executable)
            self.rewrites.append(_rewrite(path, content, placeholder, mode))
            self._install(entry, path, file_mode=mode, size=content.size)
            return
        try:
            content = self._patched(file.content, placeholder, mode, self.destination.prefix)
        except PrefixTooLong as error:
            raise bad_package(self.package.filename, f"{path}: {error}") from error
        self.laid[path] = Laid(path, content, file.executable)
        sha256 = _sha256(content)
        in_prefix = None if sha256 == entry.sha256 else sha256
        self._install(entry, path, sha256_in_prefix=in_prefix, size=content.size, file_mode=mode)

    def _patched(self, content: Content, placeholder: str, mode: str, prefix: str) -> Patched:
        if mode == "binary":
            return patch_binary(content, placeholder, prefix)
        return patch_text(content, placeholder, prefix, shebang_limit(self.destination.platform))

    def _install(
        self,
        entry: PathEntry,
        path: str,
        *,
        size: int,
        sha256_in_prefix: str | None = None,
        file_mode: str | None = None,
    ) -> None:
        known = InstalledPath(path, entry.path_type, entry.no_link, entry.sha256, placeholder=entry.placeholder)
        self.installed.append(replace(known, sha256_in_prefix=sha256_in_prefix, size=size, file_mode=file_mode))

    def lay_entry_point(self, script: bytes, command: str) -> None:
        path = f"bin/{command}"
        self.laid[path] = Laid(path, Literal(script), executable=True)
        installed = InstalledPath(path, "unix_python_entry_point", size=len(script))
        if self.destination.prefix is None:
            self.rewrites.append(Rewrite(path, PLACEHOLDER, "text"))
        else:
            installed = replace(installed, sha256=hashlib.sha256(script).hexdigest())
        self.installed.append(installed)

    def refuse_paths_through_links(self) -> None:
        """A path below a symbolic link is written wherever the link points: no honest package has one."""
        links = {path for path, laid in self.laid.items() if laid.target is not None}
        for path in self.laid:
            parent = dirname(path)
            while parent:
                if parent in links:
                    raise bad_package(self.package.filename, f"{path} lies below the symbolic link {parent}")
                parent = dirname(parent)


def _portable(content: Content, placeholder: str, mode: str) -> Content:
    """A Python script whose first line works wherever conda-unpack puts the prefix, however long or spaced it is."""
    if mode != "text" or content.read(0, 2) != b"#!":
        return content
    line, newline, rest = content.read(0, content.size).partition(b"\n")
    text = line.decode("utf-8", "replace")
    if placeholder not in text or not is_python_shebang(text):
        return content
    return Literal(without_direct_path(text).encode() + newline + rest)


def _rewrite(path: str, content: Content, placeholder: str, mode: str) -> Rewrite:
    if mode == "binary":
        return Rewrite(path, placeholder, mode, strings_with(content, placeholder))
    line = content.read(0, min(content.size, 4096)).partition(b"\n")[0]
    has_other_program = line.startswith(b"#!") and placeholder.encode() in line
    rest = len(line) - len(placeholder.encode()) if has_other_program else None
    return Rewrite(path, placeholder, mode, shebang_rest=rest)


def _leaves(path: str) -> bool:
    return normpath(path).split("/", 1)[0] == ".."


def _sha256(content: Content) -> str:
    digest = hashlib.sha256()
    for chunk in content.chunks():
        digest.update(chunk)
    return digest.hexdigest()

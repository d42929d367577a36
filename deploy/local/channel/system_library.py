"""Makes conda packages out of the Debian shared libraries that an interpreter and the wheels load."""

import os
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from deploy.local.channel import debian
from deploy.local.channel.archive import File, Link, Package
from deploy.local.channel.command import run
from deploy.local.channel.elf import needed
from deploy.local.channel.relocate import with_library_path

# What every Linux that can run the environment must have: glibc. All else comes as a package.
GLIBC = re.compile(
    r"^(ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libutil|libresolv|libanl|libmvec|libBrokenLocale|libnsl"
    r"|libnss_\w+|libthread_db|libc_malloc_debug)\.so\.\d$"
)
_NOT_GLIBC = "libnsl.so.2"  # libnsl.so.1 is glibc's, this one is a library of its own

# Debian's name without the number of its ABI -> conda-forge's name, and the licence
NAMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "libssl": ("openssl", "Apache-2.0"),
        "zlib": ("libzlib", "Zlib"),
        "libbz2-": ("bzip2", "bzip2-1.0.6"),
        "liblzma": ("liblzma", "0BSD"),
        "libffi": ("libffi", "MIT"),
        "libsqlite": ("libsqlite", "blessing"),
        "libreadline": ("readline", "GPL-3.0-only"),
        "libncursesw": ("ncurses", "X11 AND BSD-3-Clause"),
        "libtinfo": ("libtinfo", "X11 AND BSD-3-Clause"),
        "libexpat": ("libexpat", "MIT"),
        "libuuid": ("libuuid", "BSD-3-Clause"),
        "libtirpc": ("libtirpc", "BSD-3-Clause"),
        "libnsl": ("libnsl", "LGPL-2.1-or-later"),
        "libcrypt": ("libxcrypt", "LGPL-2.1-or-later"),
        "libgcc-s": ("libgcc", "GPL-3.0-only WITH GCC-exception-3.1"),
        "libstdc++": ("libstdcxx", "GPL-3.0-only WITH GCC-exception-3.1"),
        "libkeyutils": ("keyutils", "LGPL-2.1-or-later"),
        "libcom-err": ("libcom_err", "MIT"),
        "libkrb": ("libkrb5", "MIT"),
        "libk5crypto": ("libk5crypto", "MIT"),
        "libkrb5support": ("libkrb5support", "MIT"),
        "libgssapi-krb5-": ("libgssapi-krb5", "MIT"),
        "libdb": ("libdb", "Sleepycat"),
        "libgdbm": ("gdbm", "GPL-3.0-only"),
        "libmpdec": ("mpdecimal", "BSD-2-Clause"),
        "libzstd": ("zstd", "BSD-3-Clause"),
    }
)


class SystemLibraries:
    """Answers which conda package holds a soname, and collects those packages as they are asked for."""

    def __init__(self, glibc: str) -> None:
        self.packages: dict[str, Package] = {}  # by conda name
        self.debian: dict[str, str] = {}  # Debian package -> version, for the fingerprint
        self.glibc = glibc
        self._paths: dict[str, Path] = {}  # soname -> where this machine's loader finds it
        self._names: dict[str, str] = {}  # Debian package -> conda name
        self._loader_asked = False
        self._lock = threading.RLock()  # wheels are converted in threads

    def learn(self, files: Iterable[Path]) -> None:
        """Ask the loader where it finds what `files` (and their libraries) need."""
        listed = list(files)
        if listed:
            for soname, path in _loader_answers(listed).items():
                self._paths.setdefault(soname, path)

    def path(self, soname: str) -> Path | None:
        """Where this machine has `soname`; None when it has not."""
        if soname not in self._paths and not self._loader_asked:
            self._loader_asked = True
            for name, path in _loader_cache().items():
                self._paths.setdefault(name, path)
        return self._paths.get(soname)

    def provide(self, soname: str) -> str | None:
        """The conda package that holds `soname`, made now if it was not yet.

        None when no Debian package owns it (the caller bundles the file), or this machine does not have it at all.
        """
        with self._lock:
            path = self.path(soname)
            package = debian.owner(path) if path else None
            if package is None:
                return None
            if package.name not in self._names:
                self._names[package.name] = name = self._unused_name(package)
                self.debian[package.name] = package.version
                self.packages[name] = self._convert(package, name)
            return self._names[package.name]

    def requirements(self, files: Iterable[bytes], own: Iterable[str]) -> tuple[set[str], dict[str, Path]]:
        """What the ELF `files` need from outside: the match specs, and the unowned libraries by soname.

        `own` are the sonames that come with the files themselves.
        """
        asked = {soname for data in files for soname in needed(data)} - set(own)
        packages: set[str] = set()
        unowned: dict[str, Path] = {}
        for soname in sorted(asked):
            if is_glibc(soname):
                continue
            name, path = self.provide(soname), self.path(soname)
            if name:
                packages.add(f"{name} >={self.packages[name].version}")
            elif path:
                unowned[soname] = path
        return packages, unowned

    def _unused_name(self, package: debian.DebianPackage) -> str:
        name = conda_name(package.name)[0]
        taken = set(self._names.values())
        return name if name not in taken else re.sub(r"[^a-z0-9._-]", "", package.name.partition(":")[0])

    def _convert(self, package: debian.DebianPackage, name: str) -> Package:
        paths = [path for path in debian.libraries(package) if path.exists()]
        self.learn(path for path in paths if not path.is_symlink())
        regular = {path.name: path.read_bytes() for path in paths if not path.is_symlink()}
        links = {path.name: os.readlink(path) for path in paths if path.is_symlink()}
        depends, unowned = self.requirements(regular.values(), {*regular, *links})
        for soname, path in unowned.items():
            regular[soname] = path.read_bytes()
        patched = with_library_path(regular, "$ORIGIN")
        files: dict[str, File | Link] = {f"lib/{base}": File(data, True) for base, data in patched.items()}
        for base, target in links.items():
            beside = Path(target).name
            if beside in patched or beside in links:
                files[f"lib/{base}"] = Link(beside)
            else:
                shown = next(path for path in paths if path.name == base)
                files[f"lib/{base}"] = File(shown.read_bytes(), True)
        text = debian.copyright_text(package)
        return Package(
            name=name,
            version=package.upstream_version,
            build_pattern="h{hash}_0",
            files=files,
            depends=(f"__glibc >={self.glibc},<3.0.a0", *sorted(depends), *(["ca-certificates"] * (name == "openssl"))),
            licence=conda_name(package.name)[1],
            licence_texts={"copyright": text} if text else {},
            summary=f"Shared libraries of the Debian package {package.name.partition(':')[0]}",
        )


def is_glibc(soname: str) -> bool:
    return bool(GLIBC.match(soname)) and soname != _NOT_GLIBC


def conda_name(debian_name: str) -> tuple[str, str]:
    """Conda's name and the licence for a Debian library package: `libssl3t64` -> (`openssl`, `Apache-2.0`)."""
    bare = debian_name.partition(":")[0].removesuffix("t64")
    for stem in (bare, re.sub(r"[\d.]+[a-z]?$", "", bare), re.sub(r"-?[\d.]+[a-z]?(-\d+)?$", "", bare)):
        if stem in NAMES:
            return NAMES[stem]
    plain = re.sub(r"[^a-z0-9._-]", "", re.sub(r"-?[\d.]+[a-z]?(-\d+)?$", "", bare)) or bare
    return (plain if plain.startswith("lib") else f"lib{plain}"), ""


def _loader_answers(files: list[Path]) -> dict[str, Path]:
    # ldd's exit status is 1 as soon as one of the files is static; what it printed for the others still holds.
    text = run(["sh", "-c", 'ldd "$@" 2>/dev/null; true', "ldd", *files], wanted_for="finding shared libraries")
    found = re.findall(r"^\s*(\S+) => (/\S+)", text, re.MULTILINE)
    return {soname: Path(path) for soname, path in reversed(found)}


def _loader_cache() -> dict[str, Path]:
    text = run(["/sbin/ldconfig", "-p"], wanted_for="finding shared libraries", package="libc-bin")
    found = re.findall(r"^\s*(\S+) \(libc6,x86-64[^)]*\) => (/\S+)", text, re.MULTILINE)
    return {soname: Path(path) for soname, path in reversed(found)}

"""Makes the conda package `python` out of a CPython that is installed on this machine."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from deploy.local.channel import upstream_layout
from deploy.local.channel.archive import PLACEHOLDER, File, Link, Package
from deploy.local.channel.command import run
from deploy.local.channel.elf import is_elf
from deploy.local.channel.problem import ChannelError
from deploy.local.channel.relocate import with_library_path
from deploy.local.channel.system_library import SystemLibraries

MINORS = ("3.11", "3.12", "3.13")

# Not needed by any environment: tests and the Tk world (whose libraries alone are larger than all the others).
_LEFT_OUT = re.compile(
    r"^(test|idlelib|turtledemo|tkinter|site-packages|dist-packages|lib2to3/tests|distutils/tests|unittest/test"
    r"|ctypes/test|sqlite3/test)(/|$)|(^|/)__pycache__(/|$)|\.(pyc|a|o|exe|bat)$|^lib-dynload/_tkinter\.|^turtle\.py$"
)

# The files in which a build writes down where it is installed. Elsewhere "/usr/local" is no prefix but a text.
_TELLS_PREFIX = re.compile(r"/(_sysconfigdata_[^/]*|config-[^/]+/[^/]+|python[\d.]*-config)$")

_QUESTION = """
import json, os, platform, struct, sys, sysconfig
print(json.dumps({
    "implementation": sys.implementation.name, "version": platform.python_version(), "machine": platform.machine(),
    "prefix": sys.base_prefix, "executable": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "stdlib": sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}),
    "include": sysconfig.get_config_var("INCLUDEPY"), "multiarch": sysconfig.get_config_var("MULTIARCH") or "",
    "bits": struct.calcsize("P") * 8, "freethreaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED"))}))
"""


@dataclass(frozen=True)
class Interpreter:
    """An installed CPython, as it describes itself."""

    version: str  # "3.11.7"
    prefix: Path
    executable: Path
    stdlib: Path
    include: Path
    multiarch: str  # "x86_64-linux-gnu" where Debian's layout or upstream's build says so

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def tag(self) -> str:
        return "cp" + self.minor.replace(".", "")

    @property
    def is_debian(self) -> bool:
        """Debian's own: lies in /usr and looks for packages in dist-packages."""
        return self.prefix == Path("/usr")


def inspect(place: Path | str) -> Interpreter:
    """Ask the interpreter below `place` (a prefix such as /usr, a virtual environment, or an executable).

    Raises: ChannelError when there is none, or it is not a CPython 3.11 to 3.13 for x86_64.
    """
    path = Path(place).expanduser()
    executable = path / "bin" / "python3" if path.is_dir() else path
    if not executable.exists():
        raise ChannelError(
            f"there is no Python at {place} (looked for {executable}); give a prefix that has bin/python3"
        )
    said = json.loads(run([executable, "-Ic", _QUESTION], wanted_for=f"asking the interpreter {executable}"))
    found = f"{said['implementation']} {said['version']} for {said['machine']}"
    minor = ".".join(said["version"].split(".")[:2])
    if said["implementation"] != "cpython" or minor not in MINORS or said["freethreaded"]:
        raise ChannelError(f"{executable} is {found}; the sample channel needs CPython {', '.join(MINORS)}")
    if said["machine"] != "x86_64" or said["bits"] != 64:
        raise ChannelError(f"{executable} is {found}; the sample channel is made for linux-64 (x86_64) only")
    return Interpreter(
        version=said["version"],
        prefix=Path(said["prefix"]),
        executable=Path(said["executable"]),
        stdlib=Path(said["stdlib"]),
        include=Path(said["include"]),
        multiarch=said["multiarch"],
    )


def convert(python: Interpreter, libraries: SystemLibraries) -> Package:
    """The package `python`; what it loads is added to `libraries`.

    Raises: ChannelError when a part is missing, or Debian's layout is not the one that is known.
    """
    files = _stdlib(python) | _programs(python) | _headers(python)
    if python.is_debian:
        files = upstream_layout.restore(files, f"lib/python{python.minor}", python.multiarch)
    _set_configuration(files, python)
    libraries.learn(_elf_sources(python))
    own, depends = _own_libraries(files, libraries, python)
    abi = f"python_abi {python.minor}.* *_{python.tag}"
    licence = files.get(f"lib/python{python.minor}/LICENSE.txt")
    return Package(
        name="python",
        version=python.version,
        build_pattern="h{hash}_0_cpython",
        files=_relocated(files | own),
        depends=(f"__glibc >={libraries.glibc},<3.0.a0", abi, "tzdata", *sorted(depends)),
        constrains=(abi,),
        licence="Python-2.0",
        licence_texts={"LICENSE": licence.data} if isinstance(licence, File) else {},
        summary="General purpose programming language",
        home="https://www.python.org/",
        index_extra={"python_site_packages_path": f"lib/python{python.minor}/site-packages"},
    )


def abi_package(minor: str) -> Package:
    """`python_abi`: what compiled packages depend on, so that one interpreter's do not mix with another's."""
    return Package(
        name="python_abi",
        version=minor,
        build_pattern=f"0_cp{minor.replace('.', '')}",
        noarch="generic",
        constrains=(f"python {minor}.* *_cpython",),
        licence="BSD-3-Clause",
        summary="Metapackage to select the Python implementation",
    )


def _stdlib(python: Interpreter) -> dict[str, File | Link]:
    if not (python.stdlib / "os.py").exists() or not (python.stdlib / "json").is_dir():
        raise ChannelError(
            f"the standard library of {python.executable} is not complete in {python.stdlib}; "
            f"for Debian's Python install the package libpython{python.minor}-stdlib"
        )
    files: dict[str, File | Link] = {}
    for folder, names, plain in os.walk(python.stdlib):
        names.sort()
        for name in sorted(plain):
            path = Path(folder, name)
            inside = path.relative_to(python.stdlib).as_posix()
            if not _LEFT_OUT.search(inside):
                _collect(files, path, f"lib/python{python.minor}/{inside}", python)
    readme = b"Third-party packages are installed here.\n"
    return files | {f"lib/python{python.minor}/site-packages/README.txt": File(readme)}


def _programs(python: Interpreter) -> dict[str, File | Link]:
    minor = python.minor
    files: dict[str, File | Link] = {
        f"bin/python{minor}": File(python.executable.read_bytes(), True),
        "bin/python": Link(f"python{minor}"),
        "bin/python3": Link(f"python{minor}"),
        f"bin/pydoc{minor}": File(
            f"#!{PLACEHOLDER}/bin/python{minor}\nimport pydoc\nif __name__ == '__main__':\n    pydoc.cli()\n".encode(),
            True,
            "text",
        ),
        "bin/pydoc3": Link(f"pydoc{minor}"),
        "bin/pydoc": Link(f"pydoc{minor}"),
    }
    # Debian's looks into a tree that only its development package has.
    config = python.prefix / "bin" / f"python{minor}-config"
    if config.exists() and not python.is_debian:
        _collect(files, config, f"bin/python{minor}-config", python)
        files["bin/python3-config"] = Link(f"python{minor}-config")
    return files


def _headers(python: Interpreter) -> dict[str, File | Link]:
    files: dict[str, File | Link] = {}
    if (python.include / "Python.h").exists():
        for path in sorted(python.include.rglob("*.h")):
            inside = path.relative_to(python.include).as_posix()
            _collect(files, path, f"include/python{python.minor}/{inside}", python)
        # Debian's pyconfig.h only points to the one of the architecture, in a directory that environments lack.
        real = Path("/usr/include", python.multiarch, f"python{python.minor}", "pyconfig.h")
        if python.is_debian and real.exists():
            files[f"include/python{python.minor}/pyconfig.h"] = File(real.read_bytes())
    return files


def _collect(files: dict[str, File | Link], path: Path, place: str, python: Interpreter) -> None:
    """Add one file of the installation; links that lead out of their own folder are replaced by what they show."""
    if path.is_symlink():
        target = os.readlink(path)
        if "/" not in target and path.exists():
            files[place] = Link(target)
            return
    if not path.is_file():
        return  # a dangling link
    data = path.read_bytes()
    executable = bool(path.stat().st_mode & 0o111)
    prefix = str(python.prefix).encode()
    # Programs keep the path they were compiled for, which is shorter than the placeholder: it is only looked at where
    # no standard library lies beside them. Overwriting it breaks others (the linker lets strings share their ends).
    if not python.is_debian and not is_elf(data) and _TELLS_PREFIX.search(place) and prefix in data:
        files[place] = File(data.replace(prefix, PLACEHOLDER.encode()), executable, "text")
    else:
        files[place] = File(data, executable)


def _set_configuration(files: dict[str, File | Link], python: Interpreter) -> None:
    """Let zoneinfo look into the environment first: TZPATH is compiled into sysconfig's data."""
    stem = f"lib/python{python.minor}/_sysconfigdata_"
    found = [path for path in files if path.startswith(stem)]
    if not found:
        raise ChannelError(f"{python.stdlib} has no _sysconfigdata module; is this Python complete?")
    for path in found:
        content = files[path]
        if isinstance(content, File):
            files[path] = upstream_layout.with_time_zones(content)


def _elf_sources(python: Interpreter) -> list[Path]:
    modules = sorted(path for path in python.stdlib.joinpath("lib-dynload").glob("*.so") if "_tkinter" not in path.name)
    return [python.executable, *modules]


def _own_libraries(
    files: dict[str, File | Link], libraries: SystemLibraries, python: Interpreter
) -> tuple[dict[str, File | Link], set[str]]:
    """libpython and all else that no Debian package owns goes into lib/: returns that, and the packages of the rest."""
    own: dict[str, File | Link] = {}
    depends: set[str] = set()
    asking = [content.data for content in files.values() if isinstance(content, File) and is_elf(content.data)]
    while asking:
        specs, unowned = libraries.requirements(asking, [Path(path).name for path in own])
        depends |= specs
        asking = []
        for soname, path in unowned.items():
            own[f"lib/{soname}"] = File(path.read_bytes(), True)
            asking.append(path.read_bytes())
    plain = f"libpython{python.minor}.so"
    if f"lib/{plain}.1.0" in own:
        own[f"lib/{plain}"] = Link(f"{plain}.1.0")
    return own, depends


def _relocated(files: dict[str, File | Link]) -> dict[str, File | Link]:
    """Every ELF file looks for libraries in the lib/ of its own environment, and nowhere else."""
    folders: dict[str, dict[str, bytes]] = {}
    for place, content in files.items():
        if isinstance(content, File) and is_elf(content.data):
            folders.setdefault(os.path.dirname(place), {})[place] = content.data
    patched: dict[str, File | Link] = {}
    for folder, members in folders.items():
        library_path = "$ORIGIN" if folder == "lib" else "$ORIGIN/" + os.path.relpath("lib", folder)
        for place, data in with_library_path(members, library_path, inherited=folder == "bin").items():
            patched[place] = File(data, True)
    return files | patched

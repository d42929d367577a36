"""Debian packages of this machine's release, fetched by apt as root or as an ordinary user, and their files."""

import subprocess
import tarfile
import tempfile
from pathlib import Path

from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Spool

# What the libraries of a conda environment or a manylinux wheel expect of the system, a shell, and certificates.
PACKAGES = (
    "base-files",
    "busybox-static",
    "ca-certificates",
    "dash",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libgcc-s1",
    "libstdc++6",
    "netbase",
    "zlib1g",
)
_MERGED = ("bin", "sbin", "lib", "lib64")
_LEFT_OUT = ("usr/share/man/", "usr/share/lintian/", "usr/share/locale/", "usr/share/bug/", "usr/share/doc/")
_LICENCES = "/copyright"


class BaseProblem(Exception):
    """What went wrong while the base was made, and what to do about it."""


def host_architecture() -> str:
    """amd64, arm64, ..."""
    return _run("dpkg", "--print-architecture", cwd=Path("/")).strip()


def download(directory: Path, architecture: str) -> list[Path]:
    """Fetch the packages into `directory`; sorted. Raises BaseProblem with the command that helps.

    Those of another architecture come by lists of their own: nothing of this machine's apt or dpkg is changed.
    """
    try:
        if architecture == host_architecture():
            _run("apt-get", "download", "-q", *PACKAGES, cwd=directory)
        else:
            with tempfile.TemporaryDirectory() as state:
                options = _foreign(Path(state), architecture)
                _run("apt-get", *options, "-qq", "update", cwd=directory)
                _run("apt-get", *options, "download", "-q", *PACKAGES, cwd=directory)
    except BaseProblem as problem:
        raise BaseProblem(
            f"{problem}\nThe base image is made out of Debian packages. Refresh apt's lists and try again: "
            "`sudo apt-get update`"
        ) from problem
    debs = sorted(directory.glob("*.deb"))
    if len(debs) != len(PACKAGES):
        raise BaseProblem(f"apt-get fetched {[deb.name for deb in debs]}, wanted are {list(PACKAGES)}")
    return debs


def _foreign(state: Path, architecture: str) -> list[str]:
    """apt's options for packages of another architecture, from this machine's sources."""
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    chosen = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        # the directory is ours alone, and apt's own user cannot write into it
        "APT::Sandbox::User": "root",
    }
    return [part for name, value in chosen.items() for part in ("-o", f"{name}={value}")]


def read_files(deb: Path, spool: Spool) -> dict[str, Laid]:
    """The files, links and directories of a package by path, below one merged /usr."""
    found: dict[str, Laid] = {}
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        for member in tar:
            path = _merged(member.name.removeprefix("./").rstrip("/"))
            if path is None or _is_left_out(path):
                continue
            if member.isreg():
                source = tar.extractfile(member)
                assert source is not None
                content = spool.add(source, deb.name)  # type: ignore[arg-type]
                found[path] = Laid(path, content, bool(member.mode & 0o111))
            elif member.islnk():
                target = found[_merged(member.linkname.removeprefix("./")) or ""]
                found[path] = Laid(path, target.content, target.executable)
            elif member.issym():
                found[path] = Laid(path, target=member.linkname)
            elif member.isdir():
                found[path] = Laid(path)
    if process.returncode:
        raise BaseProblem(f"dpkg-deb cannot read {deb.name}; it ended with status {process.returncode}")
    return found


def _merged(path: str) -> str | None:
    """`bin/x` as `usr/bin/x`; None for the root and for what becomes a link into /usr."""
    if path in ("", ".", *_MERGED):
        return None
    return f"usr/{path}" if path.split("/", 1)[0] in _MERGED else path


def _is_left_out(path: str) -> bool:
    return f"{path}/".startswith(_LEFT_OUT) and not path.endswith(_LICENCES)


def _run(*command: str, cwd: Path) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BaseProblem(
            f"{command[0]} is not there: the default base image can be made on Debian and Ubuntu"
        ) from error
    if done.returncode:
        raise BaseProblem(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
    return done.stdout

"""Which wheels run on a platform: the tags in their file names, judged without being on that platform. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

_MACHINES = {
    "linux-64": "x86_64",
    "linux-aarch64": "aarch64",
    "linux-ppc64le": "ppc64le",
    "linux-s390x": "s390x",
    "linux-riscv64": "riscv64",
    "osx-64": "x86_64",
    "osx-arm64": "arm64",
    "win-64": "amd64",
    "win-arm64": "arm64",
}
# Names from before manylinux_X_Y, with the glibc that they stand for.
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
# What uv can be told, newest first.
_UV_GLIBC = (40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17)


def platform_tags(platform: str, glibc: str | None, macos: str | None) -> list[str]:
    """The platform tags that `platform` accepts, best first. Raises ValueError for one that has no wheels."""
    machine = _MACHINES.get(platform)
    if machine is None:
        raise ValueError(f"wheels for {platform} are not known")
    if platform.startswith("osx-"):
        return list(mac_platforms(_version(macos or "11.0"), machine))
    if platform.startswith("win-"):
        return [f"win_{machine}"]
    return [*_manylinux(_version(glibc or "2.17"), machine), f"linux_{machine}"]


def _manylinux(glibc: tuple[int, int], machine: str) -> Iterator[str]:
    major, newest = glibc
    oldest = 5 if machine == "x86_64" else 17
    for minor in range(newest, oldest - 1, -1):
        yield f"manylinux_{major}_{minor}_{machine}"
        if (major, minor) in _LEGACY:
            yield f"{_LEGACY[(major, minor)]}_{machine}"


def tags_for(python: str, platforms: Sequence[str]) -> list[Tag]:
    """All tags that CPython `python` (3.11 or 3.11.7) accepts on `platforms`, best first."""
    version = _version(python)
    interpreter = f"cp{version[0]}{version[1]}"
    return [
        *cpython_tags(python_version=version, abis=[interpreter], platforms=list(platforms)),
        *compatible_tags(python_version=version, interpreter=interpreter, platforms=list(platforms)),
    ]


def best_wheel(filenames: Iterable[str], tags: Sequence[Tag]) -> str | None:
    """The file name that fits `tags` best (later builds win among equals), or None where none fits."""
    rank = {tag: place for place, tag in reversed(list(enumerate(tags)))}
    best: tuple[int, tuple[int, str], str] | None = None
    for filename in filenames:
        try:
            _, _, build, wheel_tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        places = [rank[tag] for tag in wheel_tags if tag in rank]
        if not places:
            continue
        candidate = (-min(places), build or (-1, ""), filename)
        if best is None or candidate > best:
            best = candidate
    return best[2] if best else None


def uv_platform(platform: str, glibc: str | None) -> str:
    """What uv's --python-platform calls it: the nearest glibc that is not newer."""
    machine = _MACHINES.get(platform, "")
    if platform.startswith("osx-"):
        return "aarch64-apple-darwin" if machine == "arm64" else "x86_64-apple-darwin"
    if platform.startswith("win-"):
        return "x86_64-pc-windows-msvc" if machine == "amd64" else "aarch64-pc-windows-msvc"
    if machine == "riscv64":
        return "riscv64-unknown-linux"
    if machine not in ("x86_64", "aarch64"):
        raise ValueError(f"the pip section cannot be resolved for {platform}")
    _, minor = _version(glibc or "2.17")
    return f"{machine}-manylinux_2_{next((known for known in _UV_GLIBC if known <= minor), 17)}"


def _version(text: str) -> tuple[int, int]:
    parts = text.split(".")
    return int(parts[0]), int(parts[1]) if len(parts) > 1 else 0

"""Every lockfile of a real solve, read back by rattler and by conda-lock, gives the packages of the lock."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rattler import LockFile, RepoDataRecord, Subdir, install
from rattler.explicit_environment import ExplicitEnvironmentSpec

from condarium.conda import lockfiles
from condarium.conda.channels import ChannelSettings
from condarium.conda.matchspec import check
from condarium.conda.solve import Wish, solve_platform
from condarium.domain.lock import Lock, Wheel
from condarium.domain.specification import parse
from tests.fixtures.patience import patient

FORGE = "https://conda.anaconda.org/conda-forge"
WHEEL = Wheel(
    "some-wheel", "2.10", "https://files.example.org/some_wheel-2.10-py3-none-any.whl", "12" * 32, 10, "f.whl"
)
# What conda itself reads a line of an explicit list with (CEP 23).
CONDA_LINE = re.compile(
    r"(?:(?P<url_p>.+)(?:[/\\]))?(?P<fn>[^/\\#]+(?:\.tar\.bz2|\.conda))"
    r"(?:#((?P<md5>[0-9a-f]{32})|((sha256:)?(?P<sha256>[0-9a-f]{64}))))?$"
)


def solve(channel: Path, cache: Path, dependencies: Iterable[str]) -> Lock:
    info = json.loads((channel / "sample.json").read_text())
    virtual = ("__archspec=1=x86_64", "__linux=5.10=0", "__unix=0=0", *info["virtual_packages"]["linux-64"])
    wish = Wish("linux-64", (FORGE,), tuple(dependencies), virtual)
    settings = ChannelSettings(mirrors={"conda-forge": (channel.as_uri(),)})
    solution = asyncio.run(solve_platform(wish, settings, cache))
    return solution.lock(wheels=[WHEEL], variables={"A": "1e3", "B": "yes"})


@pytest.fixture(scope="module")
def lock(sample_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Lock:
    return solve(sample_channel, tmp_path_factory.mktemp("repodata"), ["python", "flask"])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


def link(records: list[RepoDataRecord], channel: Path, prefix: Path, packages: Path) -> dict[str, tuple[str, str]]:
    """Install from the sample channel's own files: name -> (version and build, sha256), as conda-meta says."""
    for record in records:
        assert record.url.startswith(FORGE), "lockfiles name the channel, not its mirror"
        record.url = record.url.replace(FORGE, channel.as_uri())
    asyncio.run(
        install(records, target_prefix=prefix, cache_dir=packages, platform=Subdir("linux-64"), show_progress=False)
    )
    python = subprocess.run([prefix / "bin/python", "-c", "import flask; print(flask.__name__)"], capture_output=True)
    assert python.stdout == b"flask\n", python.stderr
    found = [json.loads(path.read_text()) for path in (prefix / "conda-meta").glob("*.json")]
    return {record["name"]: (f"{record['version']} {record['build']}", record["sha256"]) for record in found}


def expected(lock: Lock) -> dict[str, tuple[str, str]]:
    return {record.name: (f"{record.version} {record.build}", record.sha256) for record in lock.conda}


def records_of(path: Path, wheels: int = 1) -> list[RepoDataRecord]:
    file = LockFile.from_path(path)
    environment = file.default_environment()
    assert environment is not None
    (platform,) = file.platforms()
    assert platform.name == "linux-64"
    listed = environment.packages(platform)
    assert listed is not None
    hashes = {package.name: package.hashes for package in listed}
    assert hashes["some-wheel"].sha256.hex() == WHEEL.sha256
    records = environment.conda_repodata_records_for_platform(platform) or []
    assert len(records) == len(listed) - wheels
    return records


def test_pixi_lock_is_installed_by_rattler(lock: Lock, sample_channel: Path, packages: Path, tmp_path: Path) -> None:
    path = tmp_path / "pixi.lock"
    path.write_text(lockfiles.rattler_lock([lock]))
    assert link(records_of(path), sample_channel, tmp_path / "prefix", packages) == expected(lock)


def test_conda_lock_is_installed_by_rattler(lock: Lock, sample_channel: Path, packages: Path, tmp_path: Path) -> None:
    path = tmp_path / "conda-lock.yml"
    path.write_text(lockfiles.conda_lock_yaml([lock]))
    assert link(records_of(path), sample_channel, tmp_path / "prefix", packages) == expected(lock)


def test_the_explicit_list_is_installed_by_rattler(
    lock: Lock, sample_channel: Path, packages: Path, tmp_path: Path
) -> None:
    spec = ExplicitEnvironmentSpec.from_str(lockfiles.explicit(lock))
    assert str(spec.platform) == "linux-64"
    urls = [package.url for package in spec.packages]
    hashes = {record.url: record.sha256 for record in lock.conda}
    records = []
    for url in urls:
        line = CONDA_LINE.match(url)
        assert line is not None
        plain = url.split("#")[0]
        assert line["sha256"] == hashes[plain]
        file = Path(plain.replace(FORGE, str(sample_channel)))
        record = asyncio.run(RepoDataRecord.from_package_archive(file))
        record.url = plain
        records.append(record)
    assert link(records, sample_channel, tmp_path / "prefix", packages) == expected(lock)

    before: set[str] = set()
    for record in records:
        needed = {text.split()[0] for text in record.depends} & {other.name.normalized for other in records}
        assert needed <= before, f"{record.name.normalized} stands before what it needs"
        before.add(record.name.normalized)


def test_the_export_solves_to_the_same_packages(lock: Lock, sample_channel: Path, tmp_path: Path) -> None:
    spec = parse(lockfiles.environment_yml(lock, "exported", description="of a test"), check_match_spec=check)
    assert (spec.name, spec.description, spec.platforms) == ("exported", "of a test", ("linux-64",))
    assert (spec.channels, spec.nodefaults) == (("conda-forge",), True)
    assert spec.pip == ("some-wheel==2.10",)
    assert spec.variables == lock.variables
    again = solve(sample_channel, tmp_path, spec.dependencies)
    assert again.conda == lock.conda


CONDA_LOCK = """
import json, pathlib, sys
from conda_lock.conda_lock import render_lockfile_for_platform
from conda_lock.lockfile import parse_conda_lock_file
file = parse_conda_lock_file(pathlib.Path(sys.argv[1]))
packages = [[p.manager, p.name, p.version, p.platform, p.url, p.hash.md5, p.hash.sha256] for p in file.package]
text = {
    platform: render_lockfile_for_platform(
        lockfile=file, include_dev_dependencies=True, extras=None, kind="explicit", platform=platform,
        suppress_warning_for_pip_and_explicit=True,
    )
    for platform in file.metadata.platforms
}
print(json.dumps({"packages": packages, "explicit": text, "channels": [c.url for c in file.metadata.channels]}))
"""


def read_by_conda_lock(path: Path) -> dict[str, Any]:
    run = subprocess.run([sys.executable, "-c", CONDA_LOCK, path], capture_output=True, text=True, timeout=patient(60))
    assert run.returncode == 0, run.stderr
    result: dict[str, Any] = json.loads(run.stdout)
    return result


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_conda_lock_reads_its_own_format(lock: Lock, tmp_path: Path, form: str) -> None:
    text = lockfiles.conda_lock_yaml([lock]) if form == "yaml" else lockfiles.conda_lock_json([lock])
    path = tmp_path / "conda-lock.yml"
    path.write_text(text)
    found = read_by_conda_lock(path)
    assert found["channels"] == [FORGE]
    conda = {(name, version, url, md5, sha) for m, name, version, _, url, md5, sha in found["packages"] if m == "conda"}
    assert conda == {(r.name, r.version, r.url, r.md5, r.sha256) for r in lock.conda}
    assert [p for p in found["packages"] if p[0] == "pip"] == [
        ["pip", "some-wheel", "2.10", "linux-64", WHEEL.url, None, WHEEL.sha256]
    ]
    explicit = found["explicit"]["linux-64"]
    assert {line.split("#")[0] for line in explicit if line.startswith("http")} == {r.url for r in lock.conda}

"""Every package of the whole sample channel can be installed, and the examples give environments of the known sizes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rattler import Gateway

from deploy.local.channel import ChannelInfo, catalogue
from deploy.local.channel.index import records
from tests.fixtures.sample_environments import solve_environment

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "local" / "examples"


@pytest.fixture(scope="module")
def repodata(sample_channel: Path) -> list[dict[str, Any]]:
    return records(sample_channel)


def _conda_dependencies(path: Path) -> list[str]:
    return [spec for spec in yaml.safe_load(path.read_text())["dependencies"] if isinstance(spec, str)]


def test_each_package_solves_alone(sample_channel: Path, repodata: list[dict[str, Any]]) -> None:
    async def solve_all() -> list[str]:
        failed: list[str] = []
        gateway = Gateway()
        for record in repodata:
            spec = f"{record['name']}=={record['version']}={record['build']}"
            try:
                found = await solve_environment(sample_channel, [spec], gateway=gateway)
            except Exception as error:
                failed.append(f"{spec}: {error}")
                continue
            assert record["fn"] in {each.file_name for each in found}
        return failed

    assert asyncio.run(solve_all()) == []


def test_every_pin_of_the_catalogue_became_a_package(repodata: list[dict[str, Any]]) -> None:
    from deploy.local.channel.wheel_metadata import conda_name

    there = {(record["name"], record["version"]) for record in repodata}
    pins = [pin.split("==") for pin in catalogue.pins()]
    assert [pin for pin in pins if (conda_name(pin[0]), pin[1]) not in there] == []


def test_it_looks_like_conda_forge(
    sample_channel: Path, repodata: list[dict[str, Any]], sample_info: ChannelInfo
) -> None:
    assert sample_info.packages == len(repodata)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for record in repodata:
        by_name.setdefault(record["name"], []).append(record)
    assert len(by_name["numpy"]) >= 3
    assert min(len(by_name[name]) for name in ("flask", "click", "requests", "pandas")) >= 2
    python = by_name["python"][0]
    assert python["python_site_packages_path"] == f"lib/python{python['version'].rpartition('.')[0]}/site-packages"
    assert any(spec.startswith("python_abi ") for spec in by_name["numpy"][0]["depends"])
    assert any(spec.startswith("__glibc >=") for spec in by_name["numpy"][0]["depends"])
    assert {record["subdir"] for record in repodata} == {"linux-64", "noarch"}
    assert sum(record["fn"].endswith(".tar.bz2") for record in repodata) >= 6
    assert len({record["timestamp"] for record in repodata}) > 50
    without_licence = {record["name"] for record in repodata if not record.get("license")}
    assert without_licence == set()
    for subdir in ("linux-64", "noarch"):
        assert (sample_channel / subdir / "repodata_shards.msgpack.zst").stat().st_size > 0
        json.loads((sample_channel / subdir / "repodata.json").read_text())


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        (EXAMPLES / "small.yml", 15, 35),
        (EXAMPLES / "web.yml", 25, 45),
        (EXAMPLES / "science.yml", 30, 45),  # 39 with a pyenv Python; Debian's links to other libraries
        (ROOT / "tests" / "data" / "large.yml", 120, 200),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_examples_solve(sample_channel: Path, path: Path, least: int, most: int) -> None:
    found = asyncio.run(solve_environment(sample_channel, _conda_dependencies(path)))
    assert least <= len(found) <= most


def test_the_pip_section_of_the_web_example_is_not_in_the_channel(repodata: list[dict[str, Any]]) -> None:
    sections = [
        spec for spec in yaml.safe_load((EXAMPLES / "web.yml").read_text())["dependencies"] if not isinstance(spec, str)
    ]
    names = {requirement.partition("==")[0] for requirement in sections[0]["pip"]}
    assert names
    assert names & {record["name"] for record in repodata} == set()

"""Lockfiles are pure renderings of locks: no order of arrival, time or machine is in them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rattler import LockFile

from condarium.conda import lockfiles
from condarium.conda.lockfiles import conda_lock as lockfiles_conda_lock
from condarium.conda.lockfiles.environment import quoted, scalar
from condarium.conda.lockfiles.header import name_of, topologically
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.lockfile.origin import origins_of, write_origins
from condarium.domain.specification import parse

FORGE = "https://conda.anaconda.org/conda-forge"
OTHER = "https://example.org/other"


def record(name: str, *depends: str, subdir: str = "linux-64", channel: str = FORGE, **more: Any) -> Record:
    # Hashes that YAML 1.2 reads as numbers.
    return Record(
        {
            "name": name,
            "version": "1.0",
            "build": "0",
            "build_number": 0,
            "subdir": subdir,
            "depends": list(depends),
            "sha256": "1234567890" * 6 + "12e3",
            "md5": "1234567890" * 3 + "e9",
            "size": 7,
            "fn": f"{name}-1.0-0.conda",
            "url": f"{channel}/{subdir}/{name}-1.0-0.conda",
            "channel": f"{channel}/",
            **more,
        }
    )


WHEELS = (
    Wheel(
        "zeta", "1.0", "https://files.example.org/zeta-1.0-py3-none-any.whl", "90" * 32, 5, "zeta-1.0-py3-none-any.whl"
    ),
    Wheel("alpha", "2", "https://files.example.org/alpha-2-py3-none-any.whl", "ab" * 32, 5, "alpha-2-py3-none-any.whl"),
)
LINUX = Lock(
    platform="linux-64",
    channels=(FORGE, OTHER),
    virtual_packages=("__unix=0=0", "__glibc=2.28=0"),
    requested=("b",),
    conda=(
        record("python", "libc-like"),
        record("libc-like"),
        record("b", "a >=1", "a <2", "python", "__glibc >=2", channel=OTHER),
        record("a", "python", subdir="noarch", noarch="python"),
    ),
    pypi=WHEELS,
    variables={"Z": "1", "A": "x"},
)
MAC = replace(
    LINUX, platform="osx-arm64", conda=(record("python", subdir="osx-arm64"), LINUX.conda[3]), pypi=WHEELS[:1]
)
RENDERINGS: dict[str, Any] = {
    "explicit": lambda lock, **note: lockfiles.explicit(lock, **note),
    "requirements": lambda lock, **note: lockfiles.requirements(lock, **note),
    "conda-lock": lambda lock, **note: lockfiles.conda_lock_yaml([lock, MAC], **note),
    "conda-lock JSON": lambda lock: lockfiles.conda_lock_json([MAC, lock]),
    "rattler": lambda lock, **note: lockfiles.rattler_lock([MAC, lock], **note),
    "environment": lambda lock, **note: lockfiles.environment_yml(lock, "env", **note),
}


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_order_of_the_lock_does_not_matter(name: str) -> None:
    backwards = Lock(
        platform=LINUX.platform,
        channels=LINUX.channels,
        virtual_packages=LINUX.virtual_packages[::-1],
        requested=LINUX.requested,
        conda=tuple(Record(dict(reversed(record.raw.items()))) for record in LINUX.conda[::-1]),
        pypi=LINUX.pypi[::-1],
        variables=dict(reversed(LINUX.variables.items())),
    )
    text = RENDERINGS[name](LINUX)
    assert RENDERINGS[name](backwards) == text == RENDERINGS[name](Lock.from_json(LINUX.to_json()))
    assert text.endswith("\n")
    assert not re.search(r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}", text), "a time has no place in it"


@pytest.mark.parametrize("name", [name for name in RENDERINGS if name != "conda-lock JSON"])
def test_a_mirror_is_a_comment_and_nothing_else(name: str) -> None:
    text = RENDERINGS[name](LINUX)
    note = RENDERINGS[name](LINUX, mirrored={FORGE: "the sample\nchannel", "https://example.org/unused": "x"})
    (line,) = set(note.splitlines()) - set(text.splitlines())
    assert line == f"# Note: {FORGE} was mirrored by the sample channel here; its files may not be at that address."
    assert len(note.splitlines()) == len(text.splitlines()) + 1


def test_the_explicit_list_to_the_letter() -> None:
    sha256 = LINUX.conda[0].sha256
    assert lockfiles.explicit(LINUX) == (
        f"# linux-64: lock {LINUX.hash}\n"
        "# Use: conda create --name NAME --file THIS_FILE\n"
        f"# condarium: {write_origins(origins_of([LINUX]))}\n"
        "# platform: linux-64\n"
        "@EXPLICIT\n"
        f"{FORGE}/linux-64/libc-like-1.0-0.conda#sha256:{sha256}\n"
        f"{FORGE}/linux-64/python-1.0-0.conda#sha256:{sha256}\n"
        f"{FORGE}/noarch/a-1.0-0.conda#sha256:{sha256}\n"
        f"{OTHER}/linux-64/b-1.0-0.conda#sha256:{sha256}\n"
        "# This format holds no wheels. Save the lines that follow without '# pip: ' as requirements.txt;\n"
        "# then, in the environment: pip install --no-deps --require-hashes -r requirements.txt\n"
        f"# pip: alpha==2 --hash=sha256:{'ab' * 32}\n"
        f"# pip: zeta==1.0 --hash=sha256:{'90' * 32}\n"
    )


def test_a_package_of_another_channel_names_it_in_the_export() -> None:
    document = yaml.safe_load(lockfiles.environment_yml(LINUX, "env"))
    assert document["channels"] == ["conda-forge", OTHER, "nodefaults"]
    assert document["dependencies"] == [
        "a=1.0=0",
        f"{OTHER}::b=1.0=0",
        "libc-like=1.0=0",
        "python=1.0=0",
        {"pip": ["alpha==2", "zeta==1.0"]},
    ]


def test_several_platforms_stand_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "pixi.lock"
    for text in (lockfiles.rattler_lock([LINUX, MAC]), lockfiles.conda_lock_yaml([LINUX, MAC])):
        path.write_text(text)
        file = LockFile.from_path(path)
        environment = file.default_environment()
        assert environment is not None
        found = {
            platform.name: sorted(
                (package.name, package.hashes.sha256.hex()) for package in environment.packages(platform)
            )
            for platform in file.platforms()
        }
        assert found == {
            lock.platform: sorted(
                [(record.name, record.sha256) for record in lock.conda]
                + [(wheel.name, wheel.sha256) for wheel in lock.pypi]
            )
            for lock in (LINUX, MAC)
        }


def test_conda_lock_holds_what_its_clients_look_for() -> None:
    document = yaml.safe_load(lockfiles.conda_lock_yaml([MAC, LINUX]))
    assert document["version"] == 1
    assert document["metadata"] == {
        "content_hash": {"linux-64": LINUX.hash, "osx-arm64": MAC.hash},
        "channels": [{"url": FORGE, "used_env_vars": []}, {"url": OTHER, "used_env_vars": []}],
        "platforms": ["linux-64", "osx-arm64"],
        "sources": ["environment.yml"],
        "custom_metadata": {"condarium": write_origins(origins_of([LINUX, MAC]))},
    }
    (b,) = [package for package in document["package"] if package["name"] == "b"]
    assert b["dependencies"] == {"__glibc": ">=2", "a": ">=1,<2", "python": ""}


def test_both_writers_of_yaml_write_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = lockfiles.conda_lock_yaml([LINUX, MAC])

    class Slow(yaml.SafeDumper):
        pass

    Slow.add_representer(str, lockfiles_conda_lock._represent_text)
    monkeypatch.setattr(lockfiles_conda_lock, "_Dumper", Slow)
    assert lockfiles.conda_lock_yaml([LINUX, MAC]) == fast


@pytest.mark.parametrize("locks", [[], [LINUX, LINUX]])
def test_one_lock_per_platform(locks: list[Lock]) -> None:
    for render in (lockfiles.conda_lock_yaml, lockfiles.conda_lock_json, lockfiles.rattler_lock):
        with pytest.raises(ValueError, match="one lock per platform"):
            render(locks)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefghz"), max_size=4), min_size=1))
def test_the_order_is_whole_even_in_circles(graph: dict[str, set[str]]) -> None:
    records = [record(name, *(f"{other} >=1" for other in sorted(others))) for name, others in graph.items()]
    ordered = [found.name for found in topologically(records)]
    assert sorted(ordered) == sorted(graph)
    reachable: dict[str, set[str]] = {name: set() for name in graph}
    for name in graph:
        stack = [name]
        while stack:
            for other in graph[stack.pop()] & graph.keys():
                if other not in reachable[name]:
                    reachable[name].add(other)
                    stack.append(other)
    for name, others in graph.items():
        for other in others & graph.keys() - {name}:
            if name not in reachable[other]:
                assert ordered.index(other) < ordered.index(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Python >=3", "python"), ("a", "a"), ("a>=1", "a"), ("a[version='>=1']", "a"), (" a ;x", "a"), ("", "")],
)
def test_the_name_in_a_dependency(text: str, name: str) -> None:
    assert name_of(text) == name


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_comes_back_from_the_export(text: str) -> None:
    assert yaml.safe_load(f"A: {quoted(text)}") == {"A": text}
    assert yaml.safe_load(f"A: {scalar(text)}") == {"A": text}
    source = f"name: a\ndependencies: [x]\nvariables:\n  A: {quoted(text)}\n"
    if "://" not in text:
        assert parse(source, check_match_spec=lambda _: None).variables == {"A": text}


def test_a_lock_without_wheels_and_variables_has_no_empty_sections() -> None:
    plain = replace(LINUX, pypi=(), variables={})
    assert "pip" not in lockfiles.explicit(plain)
    assert set(yaml.safe_load(lockfiles.environment_yml(plain, "no"))) == {
        "name",
        "channels",
        "dependencies",
        "platforms",
    }
    assert yaml.safe_load(lockfiles.environment_yml(plain, "no"))["name"] == "no"
    assert "pypi" not in lockfiles.rattler_lock([plain])

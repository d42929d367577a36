"""A well-formed environment.yml, in all the forms that conda and conda-store's clients write, is understood."""

import json
from pathlib import Path

import pytest
from rattler import Subdir

from condarium.conda import virtual
from condarium.conda.matchspec import check
from condarium.domain.specification import Specification, from_wire, parse
from condarium.domain.specification.channels import PLATFORMS, channel_of

FULL = """\
name: science
channels: [conda-forge, https://example.org/private/, nodefaults]
dependencies:
  - python  3.11.*
  - numpy >= 2, <3
  - conda-forge/linux-64::scipy
  - https://example.org/other::pandas[version='>=2']
  - https://example.org/direct/noarch/thing-1.0-py_0.conda
  - pip:
    - Flask[async] >=3 ; python_version >= "3.9"
    - local-wheel @ https://example.org/local_wheel-1.0-py3-none-any.whl
variables:
  TEXT: words and more
  NUMBER: 007
  FLOAT: 1.10
  SWITCH: true
  WORD: yes
  QUOTED: "010"
  EMPTY: ''
  CONDA_OVERRIDE_CUDA: 12.1
description: what it is for
platforms: [osx-arm64, linux-64]
prefix: /home/me/envs/science
"""


def read(text: str | bytes, **options: object) -> Specification:
    return parse(text, check_match_spec=check, **options)


def test_every_field_is_kept_in_the_users_order() -> None:
    spec = read(FULL)
    assert spec.name == "science"
    assert spec.channels == ("conda-forge", "https://example.org/private")
    assert spec.nodefaults
    assert spec.dependencies == (
        "python 3.11.*",
        "numpy >= 2, <3",
        "conda-forge/linux-64::scipy",
        "https://example.org/other::pandas[version='>=2']",
        "https://example.org/direct/noarch/thing-1.0-py_0.conda",
    )
    assert spec.pip == (
        'flask[async]>=3; python_version >= "3.9"',
        "local-wheel @ https://example.org/local_wheel-1.0-py3-none-any.whl",
    )
    assert spec.description == "what it is for"
    assert spec.platforms == ("osx-arm64", "linux-64")
    assert spec.package_channels == ("https://example.org/other",)


def test_variables_become_text_as_conda_writes_them() -> None:
    assert read(FULL).variables == {
        "TEXT": "words and more",
        "NUMBER": "7",
        "FLOAT": "1.1",
        "SWITCH": "True",
        "WORD": "yes",
        "QUOTED": "010",
        "EMPTY": "",
    }


def test_overrides_become_virtual_packages_of_their_platforms() -> None:
    spec = read(FULL)
    defaults = ["__unix=0=0", "__glibc=2.28=0", "__archspec=1=x86_64"]
    assert spec.virtual_packages("linux-64", defaults) == (
        *sorted(defaults)[:1],
        "__cuda=12.1=0",
        *sorted(defaults)[1:],
    )
    assert "__cuda=12.1=0" not in spec.virtual_packages("osx-arm64", defaults)

    text = "name: a\ndependencies: [x]\nvariables: {CONDA_OVERRIDE_GLIBC: '', CONDA_OVERRIDE_ARCHSPEC: x86_64_v3}\n"
    assert read(text).virtual_packages("linux-64", defaults) == ("__archspec=1=x86_64_v3", "__unix=0=0")
    assert read(text).variables == {}


def test_the_wire_form_is_conda_stores_object() -> None:
    text = """{"name": "env1", "channels": ["conda-forge"], "dependencies": ["python", {"pip": ["flask"]}],
               "variables": {"A": "b"}, "description": "hello", "prefix": null}"""
    assert read(text).to_wire() == json.loads(text)


def test_what_the_clients_append_is_accepted() -> None:
    spec = read(
        "channels:\n  - conda-forge\ndependencies:\n  - python\nvariables: {}\ndescription: ''\nname: ui\nprefix: null"
    )
    assert (spec.name, spec.description, spec.variables) == ("ui", "", {})
    assert read("dependencies: [x]", default_name="stem", default_description="d").to_wire()["description"] == "d"
    assert (
        read("name:\ndescription:\nchannels:\nvariables:\nplatforms:\ndependencies: [x]", default_name="a").channels
        == ()
    )


def test_json_with_tabs_and_escaped_pairs_is_yaml_too() -> None:
    document = {"name": "a", "dependencies": ["x"], "description": "\N{SNAKE} \\ud83d\\ud83d / \u2028 end"}
    spec = read(json.dumps(document, indent="\t").replace("/", "\\/"))
    assert spec.description == document["description"]


def test_platforms_come_from_the_caller_where_the_file_has_none() -> None:
    text = "name: a\ndependencies: [x]\n"
    assert read(text).platforms == ("linux-64",)
    assert read(text, default_platforms=("osx-arm64",)).platforms == ("osx-arm64",)
    assert read(text, default_platforms=("osx-arm64",)).hash == read(text).hash
    assert "platforms" not in read(text).to_wire()


def test_platforms_are_those_that_can_be_solved_for() -> None:
    assert set(PLATFORMS) == set(virtual.PLATFORMS)
    assert set(PLATFORMS) <= {str(subdir) for subdir in Subdir.all()}


@pytest.mark.parametrize("subdir", [str(subdir) for subdir in Subdir.all() if str(subdir) != "unknown"])
def test_a_subdir_is_no_part_of_a_channels_name(subdir: str) -> None:
    assert channel_of(f"conda-forge/{subdir}::python") == "conda-forge"
    assert channel_of(f"https://example.org/{subdir}/::python") == "https://example.org"
    assert channel_of(f"conda-forge/label/{subdir}x.y::python") == f"conda-forge/label/{subdir}x.y"


def test_a_directory_as_a_channel_needs_the_callers_leave(tmp_path: Path) -> None:
    text = f"name: a\nchannels: ['{tmp_path.as_uri()}']\ndependencies: [x]\n"
    spec = read(text, local_channels=True)
    assert spec.channels == (tmp_path.as_uri(),)
    assert from_wire(spec.to_wire()) == spec


@pytest.mark.parametrize(
    "same", [FULL.replace("  - ", "      - "), FULL.replace("\n", "\r\n"), "\ufeff" + FULL, FULL.encode()]
)
def test_white_space_and_byte_order_mark_say_nothing(same: str | bytes) -> None:
    assert read(same) == read(FULL)


def test_an_anchor_is_allowed_where_it_is_small() -> None:
    spec = read("name: a\ndependencies: [x]\nvariables:\n  A: &value text\n  B: *value\n")
    assert spec.variables == {"A": "text", "B": "text"}

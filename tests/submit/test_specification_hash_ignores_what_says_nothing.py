"""Property tests: any input is read or refused; the hash sees the meaning and not the writing."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from condarium.conda.matchspec import check, normalise
from condarium.domain.credentials import has_credential, redact
from condarium.domain.specification import Specification, from_wire, parse
from condarium.domain.specification.fields import without_spaces
from condarium.errors import SpecificationError

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,20}", fullmatch=True).filter(lambda name: "--x" not in name)
packages = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)
versions = st.sampled_from(
    ["", " >=2", ">=1.2,<3", "=1.26", "==1.0", " 3.11.*", " ~=1.4", " !=2.0,>1", " 1.0 py_0", "=1.0=py_0"]
)
requirements = st.from_regex(r"[a-z]([a-z0-9_.-]{0,8}[a-z0-9])?", fullmatch=True)
match_specs = st.builds("{}{}".format, packages, versions)
channels = st.sampled_from(["conda-forge", "bioconda", "conda-forge/label/test", "https://example.org/c", "nodefaults"])
variables = st.dictionaries(
    st.from_regex(r"V[A-Z0-9_]{0,8}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).filter(lambda text: not has_credential(text)),
    max_size=4,
)
documents = st.fixed_dictionaries(
    {
        "name": names,
        "dependencies": st.lists(match_specs, min_size=1, max_size=6),
        "channels": st.lists(channels, max_size=4),
        "pip": st.lists(requirements.map(lambda name: f"{name}>=1"), max_size=3),
        "variables": variables,
        "description": st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60),
        "platforms": st.lists(st.sampled_from(["linux-64", "osx-arm64", "win-64"]), max_size=3),
    }
)


def document_of(parts: dict[str, Any]) -> dict[str, Any]:
    pip = parts["pip"]
    return {
        **{key: value for key, value in parts.items() if key != "pip"},
        "dependencies": [*parts["dependencies"], *([{"pip": pip}] if pip else [])],
    }


def read(document: dict[str, Any]) -> Specification:
    return parse(json.dumps(document), check_match_spec=check)


def read_or_refuse(text: str | bytes) -> Specification | None:
    """Anything but a SpecificationError fails the test."""
    try:
        return parse(text, check_match_spec=check)
    except SpecificationError:
        return None


@given(st.text() | st.binary() | st.text(st.sampled_from("name: ab-[]{},&*!|>'\"%@`#\n\t \\u0\x85\u2028\ufeff")))
@settings(max_examples=600, deadline=2000)
def test_any_text_or_bytes_is_read_or_refused(text: str | bytes) -> None:
    spec = read_or_refuse(text)
    if spec is not None:
        assert from_wire(spec.to_wire()).hash == spec.hash


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ["name", "channels", "dependencies", "variables", "platforms", "description", "prefix"], json_values
        ),
    )
)
@settings(max_examples=300, deadline=2000)
def test_any_value_in_any_field_is_read_or_refused(document: dict[str, Any]) -> None:
    for text in (json.dumps(document), yaml.safe_dump(document, allow_unicode=True)):
        read_or_refuse(text)


@given(documents, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
def test_order_and_writing_do_not_matter_but_channels_do(parts: dict[str, Any], random: Any) -> None:
    document = document_of(parts)
    spec = read(document)

    keys = list(document)
    random.shuffle(keys)
    shuffled = {key: document[key] for key in keys}
    random.shuffle(shuffled["dependencies"])
    shuffled["platforms"] = shuffled["platforms"][::-1]
    shuffled["variables"] = dict(reversed(shuffled["variables"].items()))
    assert read(shuffled).hash == spec.hash
    assert parse(yaml.safe_dump(shuffled, allow_unicode=True, width=40), check_match_spec=check).hash == spec.hash
    assert read({**document, "prefix": "/some/where"}).hash == spec.hash

    if len(spec.channels) > 1:
        assert read({**document, "channels": list(spec.channels[::-1])}).hash != spec.hash
    assert read({**document, "description": spec.description + "."}).hash != spec.hash
    assert read({**document, "variables": {**document["variables"], "W": "1"}}).hash != spec.hash


@given(documents)
@settings(max_examples=150, deadline=2000)
def test_the_wire_form_keeps_order_and_hash(parts: dict[str, Any]) -> None:
    spec = read(document_of(parts))
    again = from_wire(json.loads(json.dumps(spec.to_wire())))
    assert again == spec
    assert again.hash == spec.hash


@given(match_specs)
@settings(max_examples=200, deadline=2000)
def test_spaces_that_the_hash_drops_mean_nothing_to_rattler(text: str) -> None:
    assert normalise(without_spaces(text)) == normalise(text)


@pytest.mark.parametrize("one", ["numpy >=2", "numpy>=2", "numpy  >= 2", "'numpy\n    >=2'"])
def test_spaces_in_a_match_spec_do_not_matter(one: str) -> None:
    spec = parse(f"name: a\ndependencies:\n  - {one}\n", check_match_spec=check)
    assert spec.canonical()["dependencies"] == ["numpy>=2"]


@given(st.text(max_size=200))
def test_redacting_leaves_no_credential(text: str) -> None:
    assert not has_credential(redact(f"https://user:{text}@host/c")) or "***" in redact(f"https://user:{text}@host/c")


def test_the_hash_never_changes_between_releases() -> None:
    spec = parse("name: a\nchannels: [conda-forge]\ndependencies: [python 3.11.*, numpy]\n", check_match_spec=check)
    assert spec.hash == "68d4175afd6557cabed36d4397740c38e7a08318dd9fc5013c456bbb122b3a1d"

"""A name that is accepted has one form in OCI, one as a tag, one on disk, and comes back from each."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condarium.domain import naming
from condarium.errors import InvalidInput

# The grammar of the OCI distribution specification.
OCI_COMPONENT = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*\Z")
OCI_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", fullmatch=True).filter(lambda name: "--x" not in name)
# The characters that the escape is made of, where it could go wrong.
tricky = st.text("aAx4-_.+", min_size=1, max_size=12).filter(lambda name: name[0] in "aAx4" and "--x" not in name)


@given(names | tricky)
def test_a_name_comes_back_from_oci(name: str) -> None:
    encoded = naming.encode_oci(name)
    assert OCI_COMPONENT.match(encoded)
    assert naming.decode_oci(encoded) == name


@given(tricky, tricky)
def test_two_names_never_share_a_repository(one: str, other: str) -> None:
    assert (naming.encode_oci(one) == naming.encode_oci(other)) == (one == other)


@given(st.text(max_size=20) | st.text("ax--4102", max_size=12))
def test_what_was_never_encoded_is_no_name(component: str) -> None:
    name = naming.decode_oci(component)
    assert name is None or naming.encode_oci(name) == component


def test_lower_case_passes_as_it_is() -> None:
    assert naming.encode_oci("data-science_2.0") == "data-science_2.0"
    assert naming.encode_oci("my+Env") == "my--x2b--x45nv"
    assert naming.encode_oci("Env") == "x--xx45nv"
    assert naming.decode_oci("env--x61") is None


@given(names, st.integers(0, 10**10), st.integers(1, 10**9))
def test_a_build_key_comes_back_and_fits_a_tag(name: str, scheduled_at: int, build_id: int) -> None:
    key = naming.build_key("0123abcd" * 8, scheduled_at, build_id, name)
    parsed = naming.parse_build_key(key)
    assert parsed == naming.BuildKey("0123abcd", scheduled_at, build_id, name)
    tag = naming.encode_tag(key)
    if tag is None:
        assert name.count("+") > 5
    else:
        assert OCI_TAG.match(tag)
        assert naming.decode_tag(tag) == key


@pytest.mark.parametrize(
    "text", ["", "latest", "0123abcd-1-2-", "0123abcg-1-2-a", "0123abcd-1-2-/etc", "0123abcd-1-x-a"]
)
def test_what_is_no_build_key(text: str) -> None:
    assert naming.parse_build_key(text) is None


@pytest.mark.parametrize("name", ["", ".a", "-a", "a/b", "a b", "ü", "a\n", "a" * 65, "a--xb"])
def test_a_bad_name_is_refused_with_what_is_allowed(name: str) -> None:
    for kind in ("namespace", "environment"):
        with pytest.raises(InvalidInput, match=kind):
            naming.check_name(kind, name)


@pytest.mark.parametrize("name", ["dynamic", "conda-store-dynamic", "envs", "generations", "v2", "Envs"])
def test_reserved_names_are_no_namespaces(name: str) -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        naming.check_name("namespace", name)
    assert naming.check_name("environment", name) == name


def test_a_prefix_path_stays_under_200_characters() -> None:
    naming.check_prefix_path("/" + "s" * 100, "n" * 20, "e" * 63)
    with pytest.raises(InvalidInput, match="shorter by 1"):
        naming.check_prefix_path("/" + "s" * 100, "n" * 20, "e" * 64)
    assert naming.prefix_name("0123456789abcdef", "env") == "0123456789ab-env"

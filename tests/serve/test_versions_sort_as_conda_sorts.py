"""The keys by which the database sorts versions say what py-rattler says, of any two versions."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rattler import Version

from condarium.domain.version_order import NO_VERSION, sort_key

WORDS = ("a", "b", "ab", "rc", "dev", "post", "alpha", "z", "A", "DEV")
NUMBERS = ("0", "00", "1", "2", "9", "10", "255", "256", "65536", "20240131", "18446744073709551615")
PART = st.lists(st.sampled_from(WORDS + NUMBERS), min_size=1, max_size=3).map("".join)
SEGMENTS = st.builds(
    lambda parts, separator, tail: separator.join(parts) + tail,
    st.lists(PART, min_size=1, max_size=5),
    st.sampled_from((".", ".", ".", "_", "-")),
    st.sampled_from(("", "", "", "_", "-", "._", "__")),
)
VERSION = st.builds(
    lambda epoch, release, local: f"{epoch}{release}{local}",
    st.sampled_from(("", "", "0!", "1!", "300!")),
    SEGMENTS,
    st.one_of(st.just(""), st.just(""), SEGMENTS.map(lambda text: f"+{text}")),
)


def near(version: str, place: int, more: str) -> tuple[str, str]:
    """Two that differ little, where the order is hard."""
    place %= len(version) + 1
    return version, version[:place] + more + version[place:]


NEAR = st.builds(
    near,
    VERSION,
    st.integers(0, 40),
    st.sampled_from(("0", ".0", ".0.0", "a", "_", "dev", "post", "1", ".", "0a", "+1")),
)


def parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except Exception:
        return None


def order(left: object, right: object) -> int:
    return (left > right) - (left < right)  # type: ignore[operator]


@given(st.one_of(NEAR, st.tuples(VERSION, VERSION)))
@example(("1.0", "1.0.0"))
@example(("1.0a0", "1.0"))
@example(("1._", "1_"))
@example(("1.0.post1", "1.0.1"))
@example(("18446744073709551616", "1"))
def test_keys_sort_as_rattler_sorts(pair: tuple[str, str]) -> None:
    left, right = (parsed(text) for text in pair)
    for text, version in zip(pair, (left, right), strict=True):
        assert (version is None) == (sort_key(text) == NO_VERSION), text
    if left is not None and right is not None:
        assert order(*map(sort_key, pair)) == order(left, right)


@given(st.text(max_size=12))
def test_what_is_no_version_comes_first_and_raises_nothing(text: str) -> None:
    assert (sort_key(text) == NO_VERSION) == (parsed(text) is None)


def test_an_order_that_people_know() -> None:
    """Out of conda's own documentation."""
    older = (
        "0.4 0.4.1.rc 0.4.1 0.5a1 0.5b3 0.5C1 0.5 0.9.6 0.960923 1.0 1.1dev1 1.1_ 1.1a1 1.1.0dev1 1.1.a1 1.1.0rc1 1.1.0"
    )
    newer = "1.1.0post1 1.1post1 1996.07.12 1!0.4.1 1!3.1.1.6 2!0.4.1"
    versions = f"{older} {newer}".split()
    keys = [sort_key(version) for version in versions]
    assert keys == sorted(keys)


@pytest.mark.parametrize("text", ["1." * 60_000 + "1", "0" * 100_000, "1" * 100_000, "0." * 70_000 + "a"])
def test_absurd_versions_cost_little(text: str) -> None:
    assert isinstance(sort_key(text), bytes)

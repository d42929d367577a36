"""A signed path is good for itself, for its time and for its file name only."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from condarium.errors import NotAuthorized
from condarium.storage.signing import sign, verify

SECRET = b"0123456789abcdef"
paths = st.text("abc/%é ", max_size=12)
names = st.none() | st.text(max_size=12)


def parameters_of(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


@given(paths, names, st.integers(0, 10**10))
def test_what_was_signed_is_good_until_its_end(path: str, filename: str | None, expires_at: int) -> None:
    parameters = parameters_of(sign(path, SECRET, expires_at, filename))
    assert verify(path, parameters, SECRET, expires_at) == filename
    with pytest.raises(NotAuthorized, match="no longer good"):
        verify(path, parameters, SECRET, expires_at + 1)


@given(paths, names, st.integers(0, 10**6), paths, names, st.integers(0, 10**6))
def test_no_other_path_name_or_time_is_good(
    path: str, filename: str | None, expires_at: int, other_path: str, other_name: str | None, other_end: int
) -> None:
    assume((path, filename, expires_at) != (other_path, other_name, other_end))
    signature = parameters_of(sign(path, SECRET, expires_at, filename))["signature"]
    forged = {"expires": str(other_end), "signature": signature}
    if other_name is not None:
        forged["filename"] = other_name
    with pytest.raises(NotAuthorized, match="not signed"):
        verify(other_path, forged, SECRET, 0)


@given(st.dictionaries(st.sampled_from(["expires", "signature", "filename"]), st.text()))
def test_anything_else_is_not_authorized(parameters: dict[str, str]) -> None:
    with pytest.raises(NotAuthorized):
        verify("/a", parameters, SECRET, 0)


def test_another_secret_signs_nothing() -> None:
    parameters = parameters_of(sign("/a", SECRET, 100))
    with pytest.raises(NotAuthorized):
        verify("/a", parameters, SECRET + b"x", 0)

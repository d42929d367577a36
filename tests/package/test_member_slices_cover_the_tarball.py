"""Any byte range of a tarball is answered by the right ranges of its members, without reading one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condarium.domain.archive import MemberList, StoredMember

contents = st.lists(st.binary(max_size=9), max_size=8)


def members_of(parts: list[bytes]) -> tuple[MemberList, dict[str, bytes]]:
    stored = {str(number): part for number, part in enumerate(parts)}
    return MemberList(tuple(StoredMember(digest, len(part)) for digest, part in stored.items())), stored


@given(parts=contents, data=st.data())
def test_slices_are_the_range(parts: list[bytes], data: st.DataObject) -> None:
    members, stored = members_of(parts)
    whole = b"".join(parts)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    slices = list(members.slices(start, end))
    assert b"".join(stored[piece.digest][piece.start : piece.end] for piece in slices) == whole[start:end]
    assert all(piece.start < piece.end for piece in slices)
    assert members.size == len(whole)


@given(parts=contents)
def test_without_a_range_it_is_everything(parts: list[bytes]) -> None:
    members, stored = members_of(parts)
    assert b"".join(stored[piece.digest][piece.start : piece.end] for piece in members.slices()) == b"".join(parts)
    assert members.offsets[0] == 0
    assert len(members.offsets) == len(parts) + 1


@given(parts=contents)
def test_it_survives_json_and_its_identity_follows_the_members(parts: list[bytes]) -> None:
    members, _ = members_of(parts)
    again = MemberList.from_json(members.to_json())
    assert again == members
    assert again.identity == members.identity
    longer = MemberList((*members.members, StoredMember("f" * 64, 1)))
    assert longer.identity != members.identity


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 11), (11, 11)])
def test_a_range_outside_is_refused(start: int, end: int) -> None:
    members, _ = members_of([b"12345", b"67890"])
    with pytest.raises(ValueError, match="not within a tarball of 10 bytes"):
        list(members.slices(start, end))

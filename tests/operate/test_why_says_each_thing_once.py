"""What keeps bytes that no build needs: what they are, and then what keeps them, not the same words twice."""

from condarium.database import Database
from condarium.database.garbage import why
from condarium.database.tables.artifacts import Piece
from condarium.domain.retention import Retention


def test_a_piece_is_called_what_it_is(database_url: str) -> None:
    database = Database(database_url)
    try:
        with database.transaction() as session:
            session.add(Piece(key="k", kind="layer", digest="a" * 64, size=1))
            session.flush()
            found = why.of_digest(session, "a" * 64, Retention(True, 60, 60, 5, 60, 60, 60, 60))
    finally:
        database.close()
    assert found is not None
    (chain,) = found.chains
    assert chain.steps == ("a piece of layers",)
    assert "used" in chain.detail

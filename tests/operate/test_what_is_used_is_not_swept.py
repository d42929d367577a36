"""Marks and makers meet at a row; processes are seen; a damaged blob is forgotten."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from condarium.database import Database
from condarium.database.garbage import blobs, expiry, marks, references, roots, sweeps
from condarium.database.pieces import Known, known, record
from condarium.domain.retention import Retention
from condarium.work.processes import users_of

NOW = Retention(True, 0, 0, 0, 0, 0, 0, 0)
DIGEST, KEY = "ab" * 32, f"blobs/sha256/{'ab' * 32}"
PIECE = Known("piece-key", DIGEST, 5, {})


def states(database: Database) -> list[str]:
    with database.transaction() as session:
        return list(session.execute(text("select state from condemned where key = :key"), {"key": KEY}).scalars())


def condemn(database: Database) -> None:
    with database.transaction() as session:
        references.gather(session, NOW)
        assert references.unnamed(session, [KEY]) == {KEY}
        blobs.condemn(session, [(KEY, 5)])


def doom(database: Database) -> list[str]:
    with database.transaction() as session:
        before = expiry.started(session)
    with database.transaction() as session:
        return [each.key for each in blobs.doom(session, NOW, before=before, limit=10)]


def test_a_piece_that_is_found_made_is_not_deleted(database: Database) -> None:
    with database.transaction() as session:
        record(session, PIECE, kind="layer")
    condemn(database)
    with database.transaction() as session:
        assert known(session, [PIECE.key]).keys() == {PIECE.key}
    assert (states(database), doom(database)) == ([], [])


def test_a_piece_that_is_being_deleted_is_not_found_and_not_named(database: Database) -> None:
    with database.transaction() as session:
        record(session, PIECE, kind="layer")
    condemn(database)
    assert doom(database) == [KEY]
    with database.transaction() as session:
        assert known(session, [PIECE.key]) == {}
    with pytest.raises(marks.Deleting), database.transaction() as session:
        record(session, PIECE, kind="layer")
    with database.transaction() as session:
        assert [each.key for each in blobs.interrupted(session, limit=10)] == [KEY]
        blobs.gone(session, [KEY])
    # whoever has put the bytes meanwhile looks whether they are there
    with pytest.raises(marks.Deleting), database.transaction() as session:
        record(session, PIECE, kind="layer")
        marks.check(session, lambda key: False)
    with database.transaction() as session:
        record(session, PIECE, kind="layer")
        marks.check(session, lambda key: True)
    assert states(database) == []


def test_the_grace_is_kept(database: Database) -> None:
    condemn(database)
    with database.transaction() as session:
        later = NOW.with_grace(3600)
        assert blobs.doom(session, later, before=expiry.started(session), limit=10) == []
        assert [(each.kind, each.bytes) for each in expiry.waiting(session)] == [("blob", 5)]


def test_nothing_is_needed_by_an_empty_installation(database: Database) -> None:
    with database.transaction() as session:
        roots.gather(session, NOW)
        assert roots.counts(session, NOW) == {}


def test_a_sweep_is_due_once_and_claimed_once(database: Database) -> None:
    with database.transaction() as session:
        assert sweeps.ask_when_due(session, sweeps.STORAGE, interval=60) is not None
        assert sweeps.ask_when_due(session, sweeps.STORAGE, interval=60) is None
        assert sweeps.claim(session, sweeps.STORE, owner="a", lease_seconds=60) is None
        claimed = sweeps.claim(session, sweeps.STORAGE, owner="a", lease_seconds=60)
        assert claimed is not None
        assert sweeps.claim(session, sweeps.STORAGE, owner="b", lease_seconds=60) is None
        sweeps.finish(session, claimed.held, {"freed": {}})
        assert [each.ended for each in sweeps.latest(session)] == [True]


@pytest.mark.parametrize("how", ["cwd", "an open file", "activated"])
def test_who_uses_a_prefix_is_seen(tmp_path: Path, how: str) -> None:
    prefix = tmp_path / "prefix"
    prefix.mkdir()
    (prefix / "file").write_text("x")
    start: dict[str, Callable[[], subprocess.Popen[bytes]]] = {
        "cwd": lambda: _sleeper(cwd=prefix),
        "an open file": lambda: _sleeper(stdin=os.open(prefix / "file", os.O_RDONLY)),
        "activated": lambda: _sleeper(CONDA_PREFIX=str(prefix)),
    }
    assert users_of(prefix) == []
    process = start[how]()
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert [(user.pid, user.how) for user in users_of(prefix)] == [(process.pid, how)]
        assert users_of(tmp_path / "pre") == []
    finally:
        process.kill()
        process.communicate()


def _sleeper(*, cwd: Path | None = None, stdin: int = subprocess.DEVNULL, **environ: str) -> subprocess.Popen[bytes]:
    code = "import time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, env=os.environ | environ
    )
    if stdin >= 0:
        os.close(stdin)
    return process

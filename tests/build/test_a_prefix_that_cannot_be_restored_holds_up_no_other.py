"""Swept prefixes that are wanted again: one that fails is tried again later, and the others are linked meanwhile."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest

from condarium.database import Database
from condarium.database.garbage import prefixes
from condarium.database.garbage.prefixes import Wanted
from condarium.errors import InputFault
from services.builder.relinking import LONGEST_WAIT_SECONDS, Restoring


class Relinker:
    def __init__(self) -> None:
        self.tried: list[str] = []

    def relink(self, wanted: Wanted) -> bool:
        self.tried.append(wanted.path)
        if wanted.path == "bad":
            raise InputFault("its channel has it no more", reason="no-such-package")
        return True


class Nothing:
    def transaction(self) -> "Nothing":
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def test_each_failure_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    def wanted(session: object, store_id: int, *, skip: Collection[str] = ()) -> list[Wanted]:
        left = [path for path in ("bad", "good") if path not in skip]
        return [Wanted(1, 1, "ns", "env", "0" * 64, path) for path in left[:1]]

    clock = [1000.0]
    monkeypatch.setattr("services.builder.relinking.rows.wanted", wanted)
    monkeypatch.setattr("services.builder.relinking.time.monotonic", lambda: clock[0])
    work: Any = SimpleNamespace(database=Nothing(), store=SimpleNamespace(id=1))
    relinker: Any = Relinker()
    restoring = Restoring(work, relinker)
    for after in (0, 10, 20, 40, 30):
        clock[0] += after
        restoring._restore()
    assert relinker.tried == ["bad", "good", "bad", "good", "bad"]
    for _ in range(20):
        clock[0] += LONGEST_WAIT_SECONDS
        restoring._restore()
    assert relinker.tried[-20:] == ["bad"] * 20


def test_those_that_wait_are_not_looked_for(database: Database) -> None:
    with database.transaction() as session:
        for skip in ([], ["bad", "good"]):
            assert prefixes.wanted(session, 1, skip=skip) == []

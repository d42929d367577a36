"""Rows of solves, with a builder that this test is: shared by all who ask the same, fresh for a while, bounded."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from condarium.database import leases, solves
from condarium.database.leases import Claim
from condarium.domain.lock import Lock
from condarium.errors import LeaseLost
from tests.fixtures.gateway import RunningGateway, running_gateway
from tests.fixtures.served import make_lock

ASK = "/api/v1/specification/?channel=conda-forge&conda={}"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as made:
        yield made


def ask(gateway: RunningGateway, pool: ThreadPoolExecutor, package: str) -> "Future[httpx.Response]":
    return pool.submit(gateway.admin.get, ASK.format(package))


def claim(gateway: RunningGateway, *, seconds: float = 10) -> Claim | None:
    """The next solve that somebody waits for, once there is one."""
    for _ in range(int(seconds / 0.05)):
        with gateway.database.transaction() as session:
            held = leases.claim(session, solves.CLAIMABLE, owner="me", lease_seconds=30, where=solves.WANTED)
        if held is not None:
            return held
        threading.Event().wait(0.05)
    return None


def answer(gateway: RunningGateway, held: Claim | None, lock: Lock, repodata: str | None = "state") -> None:
    assert held is not None
    with gateway.database.transaction() as session:
        solves.answered(session, held, {lock.platform: lock}, repodata)


def fail(gateway: RunningGateway, held: Claim | None, reason: str, message: str) -> None:
    assert held is not None
    with gateway.database.transaction() as session:
        solves.failed(session, held, reason=reason, message=message)


def names(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 200, reply.text
    return [row["name"] for row in reply.json()["solve"]]


def test_an_answer_is_given_again_while_it_is_fresh(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    first = ask(gateway, pool, "zlib")
    answer(gateway, claim(gateway), make_lock("zlib"))
    assert names(first.result()) == ["zlib"]
    # No builder is asked, nobody waits.
    assert names(gateway.admin.get(ASK.format("zlib"))) == ["zlib"]
    assert claim(gateway, seconds=0.1) is None
    # Other words, the same question: the name and the order of dependencies do not matter.
    body = {"specification": "name: other\nchannels: [conda-forge]\ndependencies: [zlib]\nplatforms: [linux-64]\n"}
    reply = gateway.admin.post("/api/v1/solve/", json=body)
    assert list(reply.json()["data"]["locks"].values()) == [make_lock("zlib").hash]


def test_a_stale_answer_is_held_against_the_channels(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    first = ask(gateway, pool, "zlib")
    answer(gateway, claim(gateway), make_lock("zlib"))
    first.result()
    age(gateway, 3600)
    again = ask(gateway, pool, "zlib")
    held = claim(gateway)
    assert held is not None
    with gateway.database.transaction() as session:
        assert solves.load_claimed(session, held).repodata == "state"
        solves.unchanged(session, held)
    assert names(again.result()) == ["zlib"]
    age(gateway, 3600)
    changed = ask(gateway, pool, "zlib")
    answer(gateway, claim(gateway), make_lock("zlib-ng"))
    assert names(changed.result()) == ["zlib-ng"]


def test_who_makes_a_namespace_anew_is_not_told_what_was_solved_in_it(
    gateway: RunningGateway, pool: ThreadPoolExecutor
) -> None:
    """It may have been solved with credentials that went with the namespace."""
    assert gateway.admin.post("/api/v1/namespace/team/").status_code == 200
    first = ask(gateway, pool, "zlib&namespace=team")
    answer(gateway, claim(gateway), make_lock("zlib"))
    assert names(first.result()) == ["zlib"]
    assert gateway.admin.delete("/api/v1/namespace/team/").status_code == 200
    assert gateway.admin.post("/api/v1/namespace/team/").status_code == 200
    again = ask(gateway, pool, "zlib&namespace=team")
    held = claim(gateway)
    assert held is not None
    with gateway.database.transaction() as session:
        assert solves.load_claimed(session, held).locks is None
    fail(gateway, held, "no-such-channel", "it refuses access")
    assert again.result().status_code == 400


def age(gateway: RunningGateway, seconds: float) -> None:
    with gateway.database.transaction() as session:
        session.execute(
            text("update solves set answered_on = answered_on - :s * interval '1 second', wanted_until = wanted_until"
                 " - :s * interval '1 second'"),
            {"s": seconds},
        )  # fmt: skip


def test_those_who_ask_the_same_share_one_solve(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    asking = [ask(gateway, pool, "zlib") for _ in range(6)]
    held = claim(gateway)
    assert claim(gateway, seconds=0.3) is None
    answer(gateway, held, make_lock("zlib"))
    assert [names(each.result()) for each in asking] == [["zlib"]] * 6


def test_an_unsolvable_one_is_the_solvers_word(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    first = ask(gateway, pool, "nope")
    fail(gateway, claim(gateway), "unsolvable", "nothing provides nope")
    for reply in (first.result(), gateway.admin.get(ASK.format("nope"))):
        assert reply.status_code == 400
        assert reply.json() == {"status": "error", "message": "nothing provides nope", "code": "input-fault"}


def test_a_fault_of_the_world_is_no_answer(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    first = ask(gateway, pool, "zlib")
    fail(gateway, claim(gateway), solves.WORLD, "the channel is away")
    reply = first.result()
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert "the channel is away" in reply.json()["message"]
    again = ask(gateway, pool, "zlib")
    answer(gateway, claim(gateway), make_lock("zlib"))
    assert names(again.result()) == ["zlib"]


def test_one_principal_has_only_so_many_under_way(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    asking = [ask(gateway, pool, f"package{number}") for number in range(4)]
    held = [claim(gateway) for _ in asking]
    refused = gateway.admin.get(ASK.format("fifth"))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["code"] == "too-many-requests"
    assert "at most 4 are allowed" in refused.json()["message"]
    # What is under way already may be waited for.
    same = ask(gateway, pool, "package0")
    for each in held:
        answer(gateway, each, make_lock("zlib"))
    assert all(names(each.result()) == ["zlib"] for each in [*asking, same])
    fifth = ask(gateway, pool, "fifth")
    answer(gateway, claim(gateway), make_lock("zlib"))
    assert names(fifth.result()) == ["zlib"]


def test_waiting_is_bounded_and_may_go_on(database_url: str, storage_dir: Path, pool: ThreadPoolExecutor) -> None:
    with running_gateway(database_url, storage_dir, api_solve_seconds=1.0) as gateway:
        reply = gateway.admin.get(ASK.format("zlib"))
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) >= 1
        assert reply.json()["message"] == "no builder has begun the solve after 1 s; ask again to go on waiting for it"
        held = claim(gateway)
        late = gateway.admin.get(ASK.format("zlib"))
        assert "the solve is not done after 1 s" in late.json()["message"]
        again = ask(gateway, pool, "zlib")
        answer(gateway, held, make_lock("zlib"))
        assert names(again.result()) == ["zlib"]


def test_what_nobody_wants_any_more_is_not_begun(gateway: RunningGateway) -> None:
    question = solves.Question("ab" * 32, "", {"dependencies": ["zlib"]}, {})
    limits: dict[str, Any] = {"fresh_seconds": 60, "wait_seconds": -1, "most_pending": 4}
    with gateway.database.transaction() as session:
        solves.ask(session, question, actor="me", **limits)
    assert claim(gateway, seconds=0.1) is None
    with gateway.database.transaction() as session:
        asked = solves.ask(session, question, actor="you", **limits | {"wait_seconds": 60})
        assert solves.depth(session) == 1
    held = claim(gateway)
    assert held is not None
    assert held.id == asked.id


def test_a_builder_that_lost_its_lease_writes_nothing(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    asking = ask(gateway, pool, "zlib")
    first = claim(gateway)
    assert first is not None
    with gateway.database.transaction() as session:
        session.execute(text("update solves set lease_until = clock_timestamp() - interval '1 second'"))
    second = claim(gateway)
    with pytest.raises(LeaseLost), gateway.database.transaction() as session:
        solves.answered(session, first, {"linux-64": make_lock("xz")}, None)
    answer(gateway, second, make_lock("zlib"))
    assert names(asking.result()) == ["zlib"]


def test_old_answers_are_forgotten(gateway: RunningGateway, pool: ThreadPoolExecutor) -> None:
    first = ask(gateway, pool, "zlib")
    answer(gateway, claim(gateway), make_lock("zlib"))
    first.result()
    with gateway.database.transaction() as session:
        assert solves.forget(session) == 0
    age(gateway, solves.KEEP_SECONDS + 60)
    with gateway.database.transaction() as session:
        assert solves.forget(session) == 1


def test_wrong_questions_are_said_before_anybody_solves(gateway: RunningGateway) -> None:
    wrong = {
        "": "dependencies: there are none",
        "?conda=a%20%3B%20b": "is not a match spec",
        "?conda=python&channel=https://me:hush@example.org/c": "credential",
        "?conda=python&platform=amiga-68k": "'amiga-68k' is no platform",
        "?conda=python&pip=-r%20file": "found the option",
        "?conda=python&namespace=a%20b": "cannot name the namespace",
    }
    for query, said in wrong.items():
        reply = gateway.admin.get(f"/api/v1/specification/{query}")
        assert reply.status_code == 400, query
        assert said in reply.json()["message"]
        assert "hush" not in reply.text
    assert gateway.admin.post("/api/v1/solve/", json={"specification": "- a"}).status_code == 400
    assert gateway.admin.post("/api/v1/solve/", json={"specification": 1}).status_code == 422
    assert gateway.admin.post("/api/v1/solve/", content=b"").status_code == 422
    body = {"specification": json.dumps({"version": 1}), "is_lockfile": True}
    assert "no lockfile that is known" in gateway.admin.post("/api/v1/solve/", json=body).json()["message"]
    assert gateway.http.get(ASK.format("zlib")).status_code == 403
    assert claim(gateway, seconds=0.1) is None

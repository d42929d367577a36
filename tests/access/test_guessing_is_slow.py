"""Failed logins are counted per name and per address, over all copies of the gateway; the rest wait."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy

from condarium.database import Database, login_attempts
from tests.fixtures.gateway import TOKEN, RunningGateway, running_gateway

FEW = {
    "CONDARIUM_LOGIN_ATTEMPTS": "3",
    "CONDARIUM_LOGIN_ADDRESS_ATTEMPTS": "6",
    "CONDARIUM_TRUSTED_PROXIES": "127.0.0.1",
}


@pytest.fixture
def careful(database_url: str, storage_dir: Path) -> Iterator[RunningGateway]:
    with running_gateway(database_url, storage_dir, login=FEW) as running:
        yield running


def attempt(
    gateway: RunningGateway, name: str, password: str = "wrong", address: str = "203.0.113.1"
) -> httpx.Response:
    body = {"username": name, "password": password}
    return gateway.http.post("/login/", json=body, headers={"X-Forwarded-For": address})


def later(reply: httpx.Response) -> bool:
    if reply.status_code != 429:
        return False
    assert reply.json()["code"] == "too-many-requests"
    assert 1 <= int(reply.headers["retry-after"]) <= 300
    return True


def test_a_name_is_guessed_a_few_times_then_even_the_right_password_waits(careful: RunningGateway) -> None:
    assert [attempt(careful, "alice").status_code for _ in range(3)] == [403, 403, 403]
    assert later(attempt(careful, "alice", address="203.0.113.2"))
    assert later(attempt(careful, "alice", TOKEN, address="203.0.113.3"))
    # Somebody else is not harmed, nor does the token wait as a token.
    assert attempt(careful, "bob", TOKEN).status_code == 200
    assert careful.admin.get("/api/v1/permission/").json()["data"]["authenticated"]


def test_an_address_that_tries_many_names_waits(careful: RunningGateway) -> None:
    assert {attempt(careful, f"user-{n}").status_code for n in range(6)} == {403}
    assert later(attempt(careful, "user-7"))
    assert attempt(careful, "user-7", address="203.0.113.2").status_code == 403


def test_the_form_says_it_too(careful: RunningGateway) -> None:
    data = {"username": "alice", "password": "wrong"}
    found = [careful.http.post("/login/", data=data) for _ in range(4)]
    assert [reply.status_code for reply in found] == [403, 403, 403, 429]
    assert "try again in" in found[-1].text
    assert int(found[-1].headers["retry-after"]) > 1


def test_a_good_login_buys_no_further_guesses(careful: RunningGateway) -> None:
    assert [attempt(careful, "alice").status_code for _ in range(2)] == [403, 403]
    assert attempt(careful, "alice", TOKEN).status_code == 200
    assert attempt(careful, "alice").status_code == 403
    assert later(attempt(careful, "alice"))


def test_good_logins_are_not_counted(careful: RunningGateway) -> None:
    assert {attempt(careful, "alice", TOKEN).status_code for _ in range(8)} == {200}


def test_the_window_moves_on_and_waiting_does_not_prolong_it(careful: RunningGateway) -> None:
    for _ in range(3):
        attempt(careful, "alice")
    for _ in range(5):
        assert later(attempt(careful, "alice"))
    with careful.database.transaction() as session:
        session.execute(sqlalchemy.text("update login_attempts set at = at - interval '299 seconds'"))
    waiting = attempt(careful, "alice")
    assert later(waiting)
    assert int(waiting.headers["retry-after"]) == 1
    time.sleep(1.1)
    assert attempt(careful, "alice").status_code == 403
    with careful.database.transaction() as session:
        kept = session.execute(sqlalchemy.text("select count(*) from login_attempts")).scalar_one()
    assert kept <= 3, "what has left the window is not kept"


def test_many_at_once_through_several_gateways_get_no_more(database_url: str, storage_dir: Path) -> None:
    with (
        running_gateway(database_url, storage_dir, login=FEW) as one,
        running_gateway(database_url, storage_dir, login=FEW) as two,
    ):
        codes: list[int] = []

        def guess(gateway: RunningGateway, number: int) -> None:
            codes.append(attempt(gateway, "alice", address=f"203.0.113.{number}").status_code)

        threads = [threading.Thread(target=guess, args=(gateway, n)) for n in range(8) for gateway in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(set(codes)) in ([403, 429], [429])
        assert codes.count(403) <= 3


def test_neither_name_nor_address_is_in_the_table(careful: RunningGateway) -> None:
    """People type their password into the wrong field."""
    attempt(careful, "my-secret-password")
    with careful.database.transaction() as session:
        rows = [tuple(row) for row in session.execute(sqlalchemy.text("select subject from login_attempts"))]
    assert len(rows) == 2
    assert all(len(row[0]) == 64 and set(row[0]) <= set("0123456789abcdef") for row in rows)


def test_a_limit_of_one_is_one(database: Database) -> None:
    def begin() -> tuple[list[int], float]:
        return login_attempts.begin(database, {"x": 1}, window_seconds=60)

    first, wait = begin()
    assert (len(first), wait) == (1, 0)
    second, wait = begin()
    assert 58 < wait <= 60
    with database.transaction() as session:
        login_attempts.uncount(session, [*first, *second])
    assert begin()[1] == 0


def test_failed_logins_are_in_the_audit_log_and_passwords_nowhere(
    careful: RunningGateway, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    planted = "pl4nted-passw0rd"
    attempt(careful, "alice", planted)
    careful.http.post("/login/", data={"username": planted, "password": planted})
    careful.http.post("/login/", content=b'{"username": "x", "password": ["' + planted.encode() + b'"]}')
    careful.http.get("/login/", params={"next": planted})
    careful.gateway.tallies.flush()
    found = careful.admin.get("/api/v1/audit/", params={"action": "login"}).json()["data"]
    assert sum(row["count"] for row in found if row["outcome"] == "failed") == 2
    assert planted not in str(careful.admin.get("/api/v1/audit/").json())
    captured = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert ours
    assert planted not in captured.out + captured.err + "\n".join(ours)

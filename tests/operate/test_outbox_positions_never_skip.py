"""A reader that has seen up to a position never misses a lower one; an event that comes twice is handled once."""

import threading
import uuid

from sqlalchemy import func, select

from condarium.database import Database, inbox, outbox
from condarium.database.tables import Inbox, Outbox
from tests.fixtures.messaging import completed, queued
from tests.fixtures.patience import patient

WRITERS, EACH = 4, 40


def test_two_numbering_relays_and_many_writers_leave_no_gap_behind_a_reader(database: Database) -> None:
    written = threading.Event()
    faults: list[BaseException] = []

    def guarded(work: object) -> threading.Thread:
        def run() -> None:
            try:
                work()  # type: ignore[operator]
            except BaseException as error:
                faults.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write() -> None:
        for number in range(EACH):
            with database.transaction() as session:
                outbox.add(session, queued(number), source="api")
                if number % 5 == 0:  # ids taken first, committed last
                    outbox.add(session, completed(number), source="api")

    def number() -> None:
        while True:
            last = written.is_set()
            with database.transaction() as session:
                count = outbox.number(session, limit=7)
            if last and not count:
                return

    def left() -> int:
        with database.transaction() as session:
            return session.execute(select(func.count()).select_from(Outbox).where(Outbox.seq.is_(None))).scalar_one()

    read: list[int] = []

    def follow() -> None:
        while True:
            done = written.is_set() and not left()
            with database.transaction() as session:
                read.extend(event.seq for event in outbox.after(session, read[-1] if read else 0, limit=11))
                if done and read[-1] == outbox.last_seq(session):
                    return

    writers = [guarded(write) for _ in range(WRITERS)]
    others = [guarded(number), guarded(number), guarded(follow)]
    for thread in writers:
        thread.join(patient(60))
    written.set()
    for thread in others:
        thread.join(patient(60))
    assert faults == []
    assert read == list(range(1, WRITERS * (EACH + EACH // 5) + 1))


def test_rows_are_numbered_in_the_order_they_were_written(database: Database) -> None:
    with database.transaction() as session:
        for build in range(1, 51):
            outbox.add(session, queued(build), source="api")
    with database.transaction() as session:
        assert outbox.number(session, limit=30) == 30
    with database.transaction() as session:
        assert outbox.number(session, limit=30) == 20
        assert outbox.number(session, limit=30) == 0
        assert [event.build_id for event in outbox.after(session, 0)] == list(range(1, 51))
        assert [event.build_id for event in outbox.after(session, 48)] == [49, 50]
        assert outbox.last_seq(session) == 50


def test_lag_counts_what_the_broker_has_not_confirmed(database: Database) -> None:
    with database.transaction() as session:
        assert outbox.lag(session) == (0, 0.0)
        outbox.add(session, queued(1), source="api")
    with database.transaction() as session:
        count, age = outbox.lag(session)
        assert (count, age > 0) == (1, True)
        outbox.number(session)
        (event,) = outbox.unpublished(session)
        (took,) = outbox.published(session, [event.id])
        assert took > 0
        assert outbox.lag(session) == (0, 0.0)


def test_the_inbox_lets_one_of_many_deliveries_through(database: Database) -> None:
    event_id = uuid.uuid4()
    won: list[bool] = []

    def handle() -> None:
        with database.transaction() as session:
            won.append(inbox.first_time(session, consumer="builder", event_id=event_id))

    threads = [threading.Thread(target=handle) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    with database.transaction() as session:
        assert inbox.first_time(session, consumer="packager", event_id=event_id)
        assert session.execute(select(func.count()).select_from(Inbox)).scalar_one() == 2
        assert inbox.forget(session, older_than_days=1) == 0
        assert inbox.forget(session, older_than_days=-1) == 2


def test_a_handler_that_fails_leaves_the_event_to_be_handled_again(database: Database) -> None:
    event_id = uuid.uuid4()
    try:
        with database.transaction() as session:
            assert inbox.first_time(session, consumer="builder", event_id=event_id)
            raise RuntimeError("after the record")
    except RuntimeError:
        pass
    with database.transaction() as session:
        assert inbox.first_time(session, consumer="builder", event_id=event_id)

"""What a thread still asks while the process stops ends, and its connection is closed with the others."""

import threading

import psycopg
from sqlalchemy import text

from condarium.database import Database
from tests.fixtures.patience import patient

OURS = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'closing'"


def test_a_transaction_in_a_thread_ends_before_its_connection_is_closed(database_url: str) -> None:
    database = Database(database_url, application="closing")
    begun = threading.Event()
    done: list[int] = []

    def work() -> None:
        with database.transaction() as session:
            session.execute(text("select 1"))
            begun.set()
            session.execute(text("select pg_sleep(0.3)"))
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(patient(10))
    database.close()
    assert done
    thread.join()
    with psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute(OURS).fetchone() != (0,):
            threading.Event().wait(0.02)

"""The counts that lists show are sums of changes: exact after every commit, whoever writes beside whom."""

import random
import threading
from collections.abc import Mapping

from sqlalchemy import text

from condarium.database import Database, counts, environments, namespaces
from condarium.domain.specification import parse
from condarium.work.submission import submit
from tests.fixtures.patience import patient

#: of namespaces, environments, builds: counted, and as the triggers have summed them
TRUTH = text(
    """
    select coalesce(space, 0) as space, sum(n), sum(e), sum(b) from (
        select null::bigint as space, 1 as n, 0 as e, 0 as b from namespaces where deleted_on is null
        union all select namespace_id, 0, 1, 0 from environments where deleted_on is null
        union all select namespace_id, 0, 0, 1 from builds
    ) as found group by grouping sets ((), (space)) having grouping(space) = 1 or space is not null
    """
)
SUMS = text("select namespace_id, sum(namespaces), sum(environments), sum(builds) from row_counts group by 1")
Found = Mapping[int, tuple[int, ...]]


def _ask(database: Database, statement: object) -> Found:
    with database.transaction() as session:
        rows = session.execute(statement).all()  # type: ignore[call-overload]
    return {row[0]: tuple(int(value or 0) for value in row[1:]) for row in rows if any(row[1:])}


def _submit(database: Database, namespace: str, name: str) -> None:
    wanted = parse(f"name: {name}\nchannels: [conda-forge]\ndependencies: [zlib]\n", check_match_spec=lambda _: None)
    with database.transaction() as session:
        submit(session, wanted, namespace=namespace, actor="test", source="api")


def _delete(database: Database, namespace: str, name: str) -> None:
    with database.transaction() as session:
        found = environments.find(session, namespace, name, lock=True)
        if found is not None:
            environments.delete(session, found, actor="test")


def test_writers_beside_each_other_neither_wait_in_a_ring_nor_lose_a_count(database: Database) -> None:
    faults: list[BaseException] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(25):
                namespace, name = f"n{chance.randrange(3)}", f"e{chance.randrange(8)}"
                (_delete if chance.random() < 0.3 else _submit)(database, namespace, name)
        except BaseException as error:
            faults.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(patient(60))
    assert not faults
    assert _ask(database, SUMS) == _ask(database, TRUTH)
    with database.transaction() as session:
        # 150 transactions have left two rows each, and more: they are folded on the way.
        assert session.execute(text("select count(*) from row_counts")).scalar_one() < 120


def test_nothing_of_a_transaction_that_fails_is_counted(database: Database) -> None:
    _submit(database, "n0", "stays")
    try:
        with database.transaction() as session:
            namespaces.ensure(session, "n1", actor="test")
            session.execute(text("insert into environments (namespace_id, name) select id, 'lost' from namespaces"))
            raise RuntimeError
    except RuntimeError:
        pass
    assert _ask(database, SUMS) == _ask(database, TRUTH)


def test_many_rows_at_once_namespaces_that_go_and_come_back_and_rows_that_are_removed(database: Database) -> None:
    def run(*statements: str) -> None:
        with database.transaction() as session:
            for statement in statements:
                session.execute(text(statement))
        assert _ask(database, SUMS) == _ask(database, TRUTH), statements

    run("insert into namespaces (name) select 'n' || n from generate_series(1, 5) n")
    run(
        "insert into environments (namespace_id, name) "
        "select s.id, 'e' || n from namespaces s, generate_series(1, 40) n"
    )
    run("insert into specifications (sha256, name, spec, canonical) values ('0', 'x', '{}', '{}')")
    # As the release before wrote them: without the namespace.
    run(
        "insert into builds (environment_id, specification_id, generation, key) "
        "select e.id, s.id, g, e.id || '-' || g from environments e, specifications s, generate_series(1, 3) g"
    )
    run("update environments set deleted_on = now() where id % 3 = 0")
    run("update environments set deleted_on = now() + interval '1 s' where id % 3 = 0")
    run("update environments set deleted_on = null where id % 6 = 0")
    run("update namespaces set deleted_on = now() where name in ('n1', 'n2')")
    run("update namespaces set deleted_on = null where name = 'n1'")
    run("delete from builds where id % 2 = 0")
    run("delete from builds", "delete from environments where id % 2 = 0")
    run("insert into namespaces (name) select 'x' where false", "delete from builds")


def test_a_recount_mends_what_was_written_behind_the_triggers(database: Database) -> None:
    _submit(database, "n0", "first")
    with database.transaction() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.execute(text("insert into namespaces (name) values ('unseen')"))
        session.execute(text("insert into environments (namespace_id, name) select id, 'unseen' from namespaces"))
    assert _ask(database, SUMS) != _ask(database, TRUTH)
    with database.transaction() as session:
        counts.recount(session)
    assert _ask(database, SUMS) == _ask(database, TRUTH)

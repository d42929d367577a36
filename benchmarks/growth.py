"""How the figures grow: with the packages of an environment, and with the environments of an installation."""

import time

import psycopg
import yaml

from benchmarks import measure
from benchmarks.scenarios import LARGE, Figures, named
from tests.fixtures.system import System


def with_packages(system: System, sizes: tuple[int, ...], times: int) -> Figures:
    """Warm builds of environments of more and more packages, taken from the large example."""
    found: Figures = {}
    names = yaml.safe_load(LARGE)["dependencies"]
    for size in sizes:
        text = yaml.safe_dump({"name": "x", "channels": ["conda-forge"], "dependencies": names[:size]})
        _, first = measure.build(system, named(text, f"grow-{size}"))
        measure.idle(system, first["id"])
        packages = system.api.get(f"/api/v1/build/{first['id']}/packages/").json()["count"]

        def once(number: int, text: str = text, size: int = size) -> float:
            measure.settle()
            taken, build = measure.build(system, named(text, f"grow-{size}-{number}"))
            measure.idle(system, build["id"])
            return taken

        found[f"{packages} packages"] = measure.repeat(times, once)
    return found


def with_environments(system: System, text: str, counts: tuple[int, ...], times: int) -> Figures:
    """Warm builds, and the first page of environments, with more and more environments in the database."""
    found: Figures = {}
    for count in counts:
        _fill(system.settings["CONDARIUM_DATABASE_URL"], count)

        def once(number: int, count: int = count) -> float:
            measure.settle()
            return measure.build(system, named(text, f"many-{count}-{number}"))[0]

        def page(number: int) -> float:
            started = time.perf_counter()
            assert system.api.get("/api/v1/environment/?page=1&size=100").status_code == 200
            return time.perf_counter() - started

        found[f"{count} environments"] = {
            "build": measure.repeat(times, once),
            "list of 100": measure.repeat(times * 3, page),
        }
    return found


def _fill(url: str, count: int) -> None:
    """Environments with a completed build each, as many as are missing."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """
            with template as (select * from builds where status = 'COMPLETED' order by id limit 1),
            made as (
                insert into environments (namespace_id, name, last_generation, generation_floor)
                select (select id from namespaces where name = 'default'), 'filler-' || n, 1, 1
                from generate_series((select count(*) from environments) + 1, %s) as n
                on conflict do nothing returning id, name
            ),
            built as (
                insert into builds (environment_id, specification_id, generation, key, status, store_id, prefix_id,
                                    scheduled_on, started_on, ended_on, size)
                select made.id, t.specification_id, 1, 'filler-' || made.id, 'COMPLETED', t.store_id, t.prefix_id,
                       t.scheduled_on, t.started_on, t.ended_on, t.size
                from made, template t returning id, environment_id
            )
            select count(*) from built
            """,
            (count,),
        )
        connection.execute(
            "update environments e set current_build_id = b.id from builds b "
            "where b.environment_id = e.id and e.current_build_id is null and b.status = 'COMPLETED'"
        )
        connection.execute("analyze")

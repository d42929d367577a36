"""Rows by SQL, as many as wanted: environments with builds that nobody built, for measuring what is shown of them."""

import psycopg

#: of the environments and builds; the first is the default one, which anonymous callers see
NAMESPACES = 8

_NAMESPACES = """
insert into namespaces (name)
select case n when 0 then 'default' else 'team-' || lpad(n::text, 5, '0') end
from generate_series(0, %(namespaces)s - 1) n
on conflict do nothing
"""
_SPECIFICATION = """
insert into specifications (sha256, name, spec, canonical)
values (repeat('0', 64), 'filler', '{"name": "filler", "channels": ["conda-forge"], "dependencies": ["python"]}', '{}')
on conflict do nothing
"""
_ENVIRONMENTS = """
insert into environments (namespace_id, name, description, last_generation, generation_floor)
select s.id, 'environment-' || lpad(n::text, 6, '0'), 'the analysis of team ' || n, 1, 1
from generate_series((select count(*) from environments) + 1, %(environments)s) n
join (select id, row_number() over (order by id) - 1 as number, count(*) over () as all from namespaces) s
on s.number = n %% s.all
"""
_BUILDS = """
insert into builds (environment_id, specification_id, generation, key, status, status_info, scheduled_on, started_on,
                    ended_on, size)
select e.id, (select id from specifications limit 1), 1 + n / e.all, '00000000-1795393569-' || n || '-filler',
       case when n %% 17 = 3 then 'FAILED' else 'COMPLETED' end,
       case when n %% 17 = 3 then 'the specification cannot be solved: nothing provides filler' end,
       now() - make_interval(secs => 1e6 - n), now() - make_interval(secs => 1e6 - n - 2.5),
       now() - make_interval(secs => 1e6 - n - 9.25), 1000000 + n
from generate_series((select count(*) from builds), %(builds)s - 1) n
join (select id, row_number() over (order by id) - 1 as number, count(*) over () as all from environments) e
on e.number = n %% e.all
on conflict do nothing
"""
_CURRENT = """
update environments e set current_build_id = b.id from builds b
where b.environment_id = e.id and e.current_build_id is null and b.status = 'COMPLETED'
"""


def fill(url: str, *, environments: int, builds: int, namespaces: int = NAMESPACES) -> None:
    """Adds what is missing to that many environments and builds, spread evenly, and lets Postgres look at them."""
    wanted = {"environments": environments, "builds": builds, "namespaces": namespaces}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (_NAMESPACES, _SPECIFICATION, _ENVIRONMENTS, _BUILDS, _CURRENT):
            connection.execute(statement, wanted)
        connection.execute("vacuum analyze")

"""Up and down: infrastructure, schema, services, in order, with readiness in between."""

import contextlib
import enum
import fcntl
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deploy.local import (
    allotment,
    base_image,
    checks,
    environment,
    infrastructure,
    ports,
    processes,
    services,
    state,
    ui,
)
from deploy.local.infrastructure import Infrastructure
from deploy.local.layout import Layout
from deploy.local.private_server import ServerFailed
from deploy.local.problem import LocalProblem
from deploy.local.program import SERVICES, Program
from deploy.local.settings import Settings
from deploy.local.state import State
from deploy.local.supervisor import NAME as SUPERVISOR
from deploy.local.supervisor import Condition, Supervisor

READY_SECONDS = 120.0
# A program that ended this often right after its start will not come up by waiting.
TOO_MANY_ENDS = 3
# How often other ports are tried when somebody takes one between its choice and its use.
ATTEMPTS = 3
SHUTDOWN_SECONDS = 150.0


@dataclass(frozen=True)
class Plan:
    """What one call wants to run, and the values it runs with."""

    state: State
    infrastructure: Infrastructure
    values: dict[str, str]
    servers: list[Program]
    services: list[Program]


class PortTaken(LocalProblem):
    """Another program took a port after it was chosen."""


class Until(enum.IntEnum):
    """How far to go."""

    SERVERS = 1  # the private servers run
    SCHEMA = 2  # and the database has the schema of this release
    SERVICES = 3  # and the five services are ready


def up(settings: Settings, environ: Mapping[str, str], until: Until = Until.SERVICES, *, migrate: bool = False) -> Plan:
    """Bring everything up as far as `until`; harmless when it is. `migrate` changes a schema that is behind.

    Raises:
        LocalProblem: with what is wrong and what to do.
    """
    with _locked(settings.layout):
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(PortTaken):  # the next attempt sees that, chooses another, and says so
                return _bring_up(settings, environ, until, migrate)
        return _bring_up(settings, environ, until, migrate)


def _bring_up(settings: Settings, environ: Mapping[str, str], until: Until, migrate: bool) -> Plan:
    plan, notices = _prepare(settings, environ, until)
    for notice in notices:
        print(notice)
    supervisor = Supervisor(settings.layout)
    _start_supervisor(supervisor, plan)
    for program in plan.servers:
        _start(supervisor, [program], settings.layout)
    environment.write_file(settings.layout.environment_file, plan.values)
    if until >= Until.SCHEMA:
        done = checks.check_or_make_schema(plan.values["CONDARIUM_DATABASE_URL"], bring_up_to_date=migrate)
        _say("schema", done)
    if until >= Until.SERVICES:
        _start(supervisor, plan.services, settings.layout)
    return plan


def _prepare(settings: Settings, environ: Mapping[str, str], until: Until) -> tuple[Plan, list[str]]:
    layout = settings.layout
    kept = state.load(layout.state, layout.checkout)
    _claim(kept, settings)
    infrastructure.make_directories(layout)
    running = Supervisor(layout).pid() is not None
    if not running:
        end_leftovers(layout)  # before ports are looked at: what is left may hold them
    given = environment.chosen(settings, kept)
    notices = allotment.allot(settings, kept, given, _ours(layout, running))
    if until >= Until.SERVICES and "CONDARIUM_BASE_IMAGE" not in given:
        notices += filter(None, [base_image.make(layout)])
    if until >= Until.SERVICES and "CONDARIUM_UI" not in given:
        notices += filter(None, [ui.make(layout)])
    servers = infrastructure.of(layout, kept, given)
    derived = environment.derived(settings, kept, given, servers)
    values = {**derived, **given, **{name: derived[name] for name in environment.CLIENT if name in derived}}
    kept.derived = {name: value for name, value in values.items() if name not in given}
    checks.check_store_format(layout)
    checks.check_postgres_major(servers)
    checks.check_storage(kept, values, moved=bool(environ.get("STORAGE_MOVED")))
    state.save(kept, layout.state)
    common = {**environment.inherited(environ), **values}
    plan = Plan(kept, servers, values, servers.programs(), services.programs(settings, kept, common))
    return plan, notices


def _ours(layout: Layout, running: bool) -> allotment.Ours:
    """Whose ports are whose: a service proves it by listening, a private server by running under our supervisor."""
    pids = {record.name: record.pid for record in processes.records(layout.run) if record.lives()} if running else {}

    def ours(name: str, port: int) -> bool:
        if allotment.is_server(name):
            return running
        return name in pids and processes.listens(pids[name], port)

    return ours


def _claim(kept: State, settings: Settings) -> None:
    """Two checkouts on one data directory would fight over it; a checkout that was moved takes its data along."""
    checkout = str(settings.layout.checkout)
    if kept.checkout == checkout:
        return
    if Supervisor(settings.layout).pid() is not None:
        raise LocalProblem(
            f"{settings.layout.data} is in use by the checkout {kept.checkout}, and is running; "
            "unset CONDARIUM_DATA_DIR (it may come from that checkout's .local/condarium.env), or stop that one first"
        )
    print(f"taking over {settings.layout.data} from the checkout {kept.checkout}")
    kept.checkout = checkout


def _start_supervisor(supervisor: Supervisor, plan: Plan) -> None:
    programs = [*plan.servers, *plan.services]
    if supervisor.pid() is None:
        _prepare_servers(plan, {})
        supervisor.write_configuration(programs)
        supervisor.start()
        return
    supervisor.write_configuration(programs)
    for group in supervisor.apply_configuration():
        _say(group, "stopped: its settings have changed")
    _prepare_servers(plan, supervisor.conditions())


def _prepare_servers(plan: Plan, conditions: dict[str, Condition]) -> None:
    for server, _ in plan.infrastructure.servers():
        if server.name not in conditions or conditions[server.name].state != "RUNNING":
            server.prepare()


def _start(supervisor: Supervisor, programs: Sequence[Program], layout: Layout) -> None:
    """Start them together and wait until all are ready."""
    for program in programs:
        supervisor.start_process(program)
    waiting = list(programs)
    ends: dict[str, set[int]] = {program.name: set() for program in programs}
    until = time.monotonic() + READY_SECONDS
    while waiting:
        conditions = supervisor.conditions()
        for program in list(waiting):
            condition = conditions[program.name]
            if condition.state in ("RUNNING", "STARTING") and _answers(program, condition.pid, layout):
                _say(program.name, f"ready   {program.address}")
                waiting.remove(program)
                continue
            if condition.ended_at:
                ends[program.name].add(condition.ended_at)
            if len(ends[program.name]) > 1 and _is_taken(program, condition.pid):
                raise PortTaken(f"{program.name}: another program listens on {program.address}")
            if condition.state == "FATAL" or len(ends[program.name]) > TOO_MANY_ENDS:
                raise LocalProblem(
                    f"{program.name} does not stay up: {condition.description}{_log_end(program, layout)}"
                )
        if waiting and time.monotonic() > until:
            names = ", ".join(program.name for program in waiting)
            raise LocalProblem(f"not ready after {READY_SECONDS:.0f} s: {names}{_log_end(waiting[0], layout)}")
        time.sleep(0.1 if waiting else 0)


def _answers(program: Program, pid: int, layout: Layout) -> bool:
    try:
        # Who else answers there may be ready too: another run of Condarium on this machine.
        return (program.port is None or processes.listens(pid, program.port)) and program.answers()
    except ServerFailed as error:
        raise LocalProblem(f"{error}{_log_end(program, layout)}") from error


def _is_taken(program: Program, pid: int) -> bool:
    if program.port is None or ports.is_free(program.port, program.address.rpartition(":")[0]):
        return False
    return not processes.listens(pid, program.port)


def _log_end(program: Program, layout: Layout) -> str:
    file = layout.logs / f"{program.name}.log"
    lines = file.read_text(errors="replace").splitlines()[-15:] if file.exists() else []
    shown = "".join(f"\n  | {line[:300]}" for line in lines)
    return f"{shown}\nthe whole log: {file}"


def down(settings: Settings) -> bool:
    """Stop all in order: services, broker, database; leave no process. False when nothing ran."""
    layout = settings.layout
    if not layout.data.exists():
        return False
    with _locked(layout):
        supervisor = Supervisor(layout)
        pid = supervisor.pid()
        if pid is not None:
            _stop_in_order(supervisor, pid)
        left = end_leftovers(layout)
        for file in layout.run.glob("*.pid"):
            file.unlink(missing_ok=True)
        return pid is not None or left


def _stop_in_order(supervisor: Supervisor, pid: int) -> None:
    try:
        groups = sorted({condition.group for condition in supervisor.conditions().values()}, key=_stop_position)
        for group in groups:
            begun = time.monotonic()
            supervisor.stop_group(group)
            _say(group, f"stopped ({time.monotonic() - begun:.1f} s)")
        supervisor.shut_down()
    except (OSError, LocalProblem):
        os.kill(pid, signal.SIGTERM)  # it stops its programs in order by itself
    until = time.monotonic() + SHUTDOWN_SECONDS
    while supervisor.pid() is not None:
        if time.monotonic() > until:
            processes.end([pid], signal.SIGKILL, 1)
        time.sleep(0.05)


def _stop_position(group: str) -> int:
    order = (SERVICES, "rabbitmq", "epmd", "s3", "postgres")
    return order.index(group) if group in order else 0


def end_leftovers(layout: Layout) -> bool:
    """End what a killed supervisor left behind, services first; True when there was something."""
    alive = [record for record in processes.records(layout.run) if record.lives() and record.name != SUPERVISOR]
    found = bool(alive)
    for stage in ("", "rabbitmq", "epmd", "s3", "postgres"):
        infrastructure_names = ("rabbitmq", "epmd", "s3", "postgres")
        pids = [r.pid for r in alive if (r.name == stage if stage else r.name not in infrastructure_names)]
        first = signal.SIGINT if stage in ("s3", "postgres") else signal.SIGTERM
        if pids:
            _say(stage or SERVICES, f"ending {len(pids)} left by a killed supervisor")
            processes.end(pids, first, services.STOP_SECONDS)
    rest = processes.marked(layout.socket)
    processes.end(rest, signal.SIGTERM, 5)
    layout.socket.unlink(missing_ok=True)
    return found or bool(rest)


@contextlib.contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    layout.data.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another make up or make down works on {layout.data}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(name: str, text: str) -> None:
    print(f"  {name:<12} {text}", flush=True)

"""The commands of the one-machine run."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from condarium.errors import CondariumError
from deploy.local import backup, sample, settings, stack, state, status
from deploy.local.postgres import PrivatePostgres
from deploy.local.private_server import ServerFailed
from deploy.local.problem import LocalProblem

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status: 0, 1 for a problem, 3 when `status` finds nothing running."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(settings.read(os.environ, CHECKOUT, options.environment_file), options))
    except (LocalProblem, ServerFailed, CondariumError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `make up | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make status` shows what runs, `make down` stops it", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("--environment-file", type=Path, help="written by up (default: .local/condarium.env)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start everything that does not run; harmless when it runs")
    up.add_argument("--infrastructure", action="store_true", help="only the private servers and the schema")
    up.set_defaults(run=_up)
    commands.add_parser("down", help="stop everything, in order").set_defaults(run=_down)
    commands.add_parser("status", help="what runs, and where").set_defaults(run=_status)
    logs = commands.add_parser("logs", help="the ends of the logs")
    logs.add_argument("names", nargs="*", help="such as api or builder-1; all when none is named")
    logs.add_argument("-n", "--lines", type=int, default=20)
    logs.add_argument("-f", "--follow", action="store_true")
    logs.set_defaults(run=_logs)
    migrate = commands.add_parser("migrate", help="bring the schema of the database up to this release")
    migrate.set_defaults(run=_migrate)
    for name, run, text in (("dump", _dump, "write the database to a file"), ("restore", _restore, "fill it from one")):
        command = commands.add_parser(name, help=f"{text} (the private Postgres)")
        command.add_argument("file", type=Path)
        command.set_defaults(run=run)
    commands.add_parser("channel", help="make the sample channel, and use it as conda-forge").set_defaults(run=_channel)
    demo = commands.add_parser("demo", help="build the examples and use them in every way")
    demo.add_argument("files", nargs="*", type=Path, help="other environment.yml files than the examples")
    demo.set_defaults(run=_demo)
    return parser


def _up(chosen: settings.Settings, options: argparse.Namespace) -> int:
    until = stack.Until.SCHEMA if options.infrastructure else stack.Until.SERVICES
    plan = stack.up(chosen, os.environ, until)
    print(status.where_to_go(chosen, plan.values))
    return 0


def _down(chosen: settings.Settings, options: argparse.Namespace) -> int:
    if stack.down(chosen):
        print(f"stopped; the data stays in {chosen.layout.data}")
    else:
        print(f"nothing was running in {chosen.layout.data}")
        print(status.elsewhere(chosen.layout), end="")
    return 0


def _status(chosen: settings.Settings, options: argparse.Namespace) -> int:
    return status.show(chosen)


def _logs(chosen: settings.Settings, options: argparse.Namespace) -> int:
    directory = chosen.layout.logs
    files = [directory / f"{name}.log" for name in options.names] or sorted(directory.glob("*.log"))
    missing = [file.stem for file in files if not file.exists()]
    if missing or not files:
        known = ", ".join(sorted(file.stem for file in directory.glob("*.log"))) or "none yet: run make up"
        raise LocalProblem(f"no log of {', '.join(missing) or 'anything'} in {directory}; there are: {known}")
    follow = ["-F"] if options.follow else []
    return subprocess.call(["tail", "-n", str(options.lines), *follow, *map(str, files)])


def _migrate(chosen: settings.Settings, options: argparse.Namespace) -> int:
    stack.up(chosen, os.environ, stack.Until.SCHEMA, migrate=True)
    print("the schema is that of this release; `make up` starts the services")
    return 0


def _channel(chosen: settings.Settings, options: argparse.Namespace) -> int:
    sample.make(chosen.layout)
    state.remember_channel(chosen.layout, sample.SAMPLE)
    print("it answers for conda-forge from the next `make up` on; `make demo DEMO_CHANNEL=conda-forge` undoes that")
    return 0


def _demo(chosen: settings.Settings, options: argparse.Namespace) -> int:
    from deploy.local.demo import demo  # the command line of condarium is only needed here, and slow to import

    return demo(chosen, os.environ, Console(), options.files)


def _dump(chosen: settings.Settings, options: argparse.Namespace) -> int:
    backup.dump(_private_postgres(chosen), options.file)
    print(f"written: {options.file}")
    return 0


def _restore(chosen: settings.Settings, options: argparse.Namespace) -> int:
    backup.restore(_private_postgres(chosen), options.file)
    print("restored; `make up` starts the services")
    return 0


def _private_postgres(chosen: settings.Settings) -> PrivatePostgres:
    plan = stack.up(chosen, os.environ, stack.Until.SERVERS)
    if plan.infrastructure.postgres is None:
        raise LocalProblem("CONDARIUM_DATABASE_URL names a database of your own: use its own pg_dump and psql")
    return plan.infrastructure.postgres

"""The commands of the one-machine run."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from condarium.errors import CondariumError
from deploy.local import settings, stack, status
from deploy.local.private_server import ServerFailed
from deploy.local.problem import LocalProblem

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status: 0, 1 for a problem, 3 when `status` finds nothing running."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(settings.read(os.environ, CHECKOUT), options))
    except (LocalProblem, ServerFailed, CondariumError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make status` shows what runs, `make down` stops it", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
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
    return parser


def _up(chosen: settings.Settings, options: argparse.Namespace) -> int:
    plan = stack.up(chosen, dict(os.environ), only_infrastructure=options.infrastructure)
    print(status.where_to_go(chosen, plan.values))
    return 0


def _down(chosen: settings.Settings, options: argparse.Namespace) -> int:
    print("stopped; the data stays in " + str(chosen.layout.data) if stack.down(chosen) else "nothing was running")
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
    stack.up(chosen, dict(os.environ), only_infrastructure=True, migrate=True)
    print("the schema is that of this release; `make up` starts the services")
    return 0

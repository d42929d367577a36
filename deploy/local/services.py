"""The five services as supervised programs."""

import sys
from collections.abc import Iterator, Mapping

from deploy.local import ports
from deploy.local.program import SERVICES, Program, ready_over_http
from deploy.local.settings import SCALED, Settings
from deploy.local.state import State

PRIORITY = 100
# Longer than the longest drain: a builder gives its builds back, HTTP services finish their answers.
STOP_SECONDS = 60


def programs(settings: Settings, state: State, environment: Mapping[str, str]) -> list[Program]:
    """One program for each copy of each service; `environment` is complete but for the health port."""
    return [_program(settings, name, service, port, environment) for name, service, port in _copies(settings, state)]


def _copies(settings: Settings, state: State) -> Iterator[tuple[str, str, int]]:
    """Name of the program, service, and the port of its /readyz."""
    yield "api", "api", state.ports["api"]
    yield "registry", "registry", state.ports["registry"]
    for service in SCALED:
        for number in range(1, settings.copies[service] + 1):
            name = f"{service}-{number}"
            yield name, service, state.ports[name]


def _program(settings: Settings, name: str, service: str, port: int, environment: Mapping[str, str]) -> Program:
    checkout = settings.layout.checkout
    own = {"PYTHONPATH": f"{checkout / 'shared'}:{checkout}", "PYTHONUNBUFFERED": "1"}
    address = ports.LOOPBACK
    if service in SCALED:
        own["CONDARIUM_HEALTH_PORT"] = str(port)
    elif environment["CONDARIUM_BIND"] not in ("0.0.0.0", "::"):
        address = environment["CONDARIUM_BIND"]
    return Program(
        name=name,
        group=SERVICES,
        command=(sys.executable, "-m", f"services.{service}"),
        environment={**environment, **own},
        directory=checkout,
        priority=PRIORITY,
        answers=ready_over_http(address, port),
        address=f"{address}:{port}",
        port=port,
        stop_seconds=STOP_SECONDS,
    )

"""Which port is whose: chosen once, kept in the state, chosen anew only when somebody else took it."""

from collections.abc import Callable, Iterator

from deploy.local import object_store, ports
from deploy.local.problem import LocalProblem
from deploy.local.settings import Settings
from deploy.local.state import State

# The names that people type: the first port tried, and the setting that forces another.
PUBLIC = {"api": (8080, "CONDARIUM_API_PORT"), "registry": (5000, "CONDARIUM_REGISTRY_PORT")}
RABBIT = ("amqp", "distribution", "epmd")


# Tells whether that program of ours is what listens on that port.
Ours = Callable[[str, int], bool]


def allot(settings: Settings, state: State, given: dict[str, str], ours: Ours) -> list[str]:
    """Fill `state.ports` with what this call needs; returns sentences about ports that are not the usual ones.

    A kept port stays while it is free or a program of ours has it.

    Raises:
        LocalProblem: a port that the caller insists on is taken.
    """
    address = given.get("CONDARIUM_BIND", ports.LOOPBACK)
    notices = []
    for name, (first, variable) in PUBLIC.items():
        before = state.ports.get(name)
        state.ports[name] = _public_port(state, name, first, given.get(variable), variable, address, ours)
        port = state.ports[name]
        if port not in (before, first) and str(port) != given.get(variable):
            notices.append(f"port {before or first} is taken by another program; {name} gets {port} and keeps it")
    for name in needed(settings, given):
        kept = state.ports.get(name)
        if kept is None or not (ours(name, kept) or ports.is_free(kept)):
            state.ports[name] = ports.private_ports(1, state.ports.values(), str(settings.layout.data))[0]
    if given.get("CONDARIUM_STORAGE") == "s3" and "CONDARIUM_STORAGE_URL" not in given:
        _object_store_ports(settings, state, ours)
    return notices


def needed(settings: Settings, given: dict[str, str]) -> Iterator[str]:
    """The names of the private ports, one each."""
    if "CONDARIUM_DATABASE_URL" not in given:
        yield "postgres"
    if "CONDARIUM_AMQP_URL" not in given:
        yield from RABBIT
    for service, copies in settings.copies.items():
        yield from (f"{service}-{number}" for number in range(1, copies + 1))


def is_server(name: str) -> bool:
    """Is it the port of a private server, not of one of the five services?"""
    return name in ("postgres", *RABBIT) or name.startswith("s3:")


def _public_port(
    state: State, name: str, first: int, forced: str | None, variable: str, address: str, ours: Ours
) -> int:
    kept = state.ports.get(name)
    others = [port for other, port in state.ports.items() if other != name]
    if forced and int(forced):
        port = int(forced)
        if not ours(name, port) and not ports.is_free(port, address):
            raise LocalProblem(f"{variable}={port}: another program listens on that port; choose another, or unset it")
        return port
    if kept is not None and (ours(name, kept) or ports.is_free(kept, address)):
        return kept
    return ports.next_free(first, others, address)


def _object_store_ports(settings: Settings, state: State, ours: Ours) -> None:
    kept = {name: state.ports.get(name) for name in (f"s3:{port}" for port in object_store.PORT_NAMES)}
    if all(port is not None and (ours(name, port) or ports.is_free(port)) for name, port in kept.items()):
        return
    found = object_store.allot(str(settings.layout.data), state.ports.values())
    state.ports.update({f"s3:{name}": port for name, port in found.items()})

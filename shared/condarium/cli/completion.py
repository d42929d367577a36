"""What the shell offers behind a tab: names that the server knows, in time or not at all.

Whoever presses tab wants neither to wait nor to read an error in the middle of a line.
"""

import threading
from collections.abc import Callable, Iterable
from itertools import islice

from condarium.cli.session import connect, default_namespace
from condarium.client import Client

SECONDS = 1.5
MOST = 100


def _in_time(ask: Callable[[Client], Iterable[str]]) -> list[str]:
    found: list[str] = []

    def work() -> None:
        try:
            with connect(timeout=SECONDS, tries=1) as client:
                found.extend(islice(ask(client), MOST))
        except Exception:
            # Silent, whatever it was.
            return

    # Nothing waits for a daemon: a server that answers word by word holds up nobody either.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return list(found)


def environments(incomplete: str) -> list[str]:
    """NAMESPACE/NAME of what begins so; NAME alone in the default namespace."""
    namespace, slash, begun = incomplete.partition("/")

    def ask(client: Client) -> Iterable[str]:
        if slash:
            for row in client.environments(namespace=namespace, search=begun or None):
                yield f"{namespace}/{row.name}"
            return
        own = default_namespace()
        for row in client.environments():
            if row.namespace.name == own:
                yield row.name
            yield f"{row.namespace.name}/{row.name}"

    return [name for name in _in_time(ask) if name.startswith(incomplete)]


def builds(incomplete: str) -> list[str]:
    """The numbers of the newest builds, or environments for their current build."""
    if incomplete and not incomplete.isdecimal():
        return environments(incomplete)
    numbers = _in_time(lambda client: (str(row.id) for row in client.builds()))
    return [number for number in numbers if number.startswith(incomplete)]


def namespaces(incomplete: str) -> list[str]:
    """Names of namespaces."""
    return [
        name
        for name in _in_time(lambda client: (row.name for row in client.namespaces()))
        if name.startswith(incomplete)
    ]


def settings(incomplete: str) -> list[str]:
    """Keys of settings; these are known without a server."""
    from condarium.domain.settings.keys import KEYS

    return [key for key in KEYS if key.startswith(incomplete)]

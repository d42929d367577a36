"""What runs, where, and what to do with it."""

from collections.abc import Mapping

from deploy.local import state
from deploy.local.settings import Settings
from deploy.local.supervisor import Supervisor

NOTHING_RUNS = 3


def show(settings: Settings) -> int:
    """Print a line for each process. 0 when all run, 1 when some don't, 3 when nothing runs."""
    supervisor = Supervisor(settings.layout)
    print(f"data in {settings.layout.data}")
    if supervisor.pid() is None:
        print("nothing is running; start it with: make up")
        return NOTHING_RUNS
    conditions = supervisor.conditions()
    for condition in conditions.values():
        print(f"  {condition.name:<12} {condition.state.lower():<9} {condition.description}")
    kept = state.load(settings.layout.state, settings.layout.checkout)
    print(where_to_go(settings, kept.derived))
    return 0 if all(condition.state == "RUNNING" for condition in conditions.values()) else 1


def where_to_go(settings: Settings, values: Mapping[str, str]) -> str:
    """The addresses that people type."""
    file = settings.layout.environment_file
    shown = file.relative_to(settings.layout.checkout)
    store = settings.given.get("CONDARIUM_STORE") or values.get("CONDARIUM_STORE")
    return "\n".join(
        [
            f"gateway     {values['CONDARIUM_API_URL']}",
            f"registry    {values['CONDARIUM_REGISTRY']}",
            f"prefixes    {store}",
            f"settings    {shown} (addresses and the admin token; use it with: . {shown})",
        ]
    )

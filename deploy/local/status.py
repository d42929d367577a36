"""What runs, where, and what to do with it."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy.local import processes, state
from deploy.local.layout import Layout
from deploy.local.settings import Settings
from deploy.local.supervisor import Supervisor

NOTHING_RUNS = 3


def show(settings: Settings) -> int:
    """Print a line for each process. 0 when all run, 1 when some don't, 3 when nothing runs."""
    supervisor = Supervisor(settings.layout)
    print(f"data in {settings.layout.data}")
    if supervisor.pid() is None:
        left = [record.name for record in processes.records(settings.layout.run) if record.lives()]
        if left:
            print(f"the supervisor was killed and left {', '.join(left)}; make up starts anew, make down ends them")
            return 1
        print("nothing is running; start it with: make up")
        print(elsewhere(settings.layout), end="")
        return NOTHING_RUNS
    conditions = supervisor.conditions()
    for condition in conditions.values():
        print(f"  {condition.name:<12} {condition.state.lower():<9} {condition.description}")
    kept = state.load(settings.layout.state, settings.layout.checkout)
    print(where_to_go(settings, kept.derived))
    return 0 if all(condition.state == "RUNNING" for condition in conditions.values()) else 1


def elsewhere(layout: Layout) -> str:
    """A line about a run of this checkout in another data directory, when its environment file tells of one."""
    try:
        text = layout.environment_file.read_text()
    except OSError:
        return ""
    found = re.search(r"^export CONDARIUM_DATA_DIR=(.+)$", text, re.MULTILINE)
    data = Path(shlex.split(found[1])[0]) if found else layout.data
    if data == layout.data or Supervisor(replace(layout, data=data)).pid() is None:
        return ""
    return f"but this checkout runs in {data}: set CONDARIUM_DATA_DIR={data}\n"


def where_to_go(settings: Settings, values: Mapping[str, str]) -> str:
    """The addresses that people type."""
    file = settings.layout.environment_file
    shown = os.path.relpath(file, settings.layout.checkout)
    store = settings.given.get("CONDARIUM_STORE") or values.get("CONDARIUM_STORE")
    return "\n".join(
        [
            f"gateway     {values['CONDARIUM_API_URL']}",
            f"registry    {values['CONDARIUM_REGISTRY']}",
            f"prefixes    {store}",
            f"settings    {shown} (addresses and the admin token; use it with: . {shown})",
        ]
    )

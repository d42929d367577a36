"""What one data directory remembers between runs: its ports, its passwords, whose checkout it is."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.layout import Layout
from deploy.local.problem import LocalProblem

# The layout of the data directory; raise it when a release can no longer read what an older one wrote.
FORMAT = 1


@dataclass
class State:
    """Saved as JSON, readable by its owner only."""

    checkout: str
    format: int = FORMAT
    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    # What `up` wrote to the environment file by itself: a caller who sourced that file has not chosen these values.
    derived: dict[str, str] = field(default_factory=dict)
    # "sample" once the sample channel stands in for conda-forge, "conda-forge" once that was found reachable.
    channel: str | None = None
    # Which database keeps track of which storage; without credentials.
    database: str | None = None
    storage: str | None = None

    def secret(self, name: str) -> str:
        """The secret of that name, made on first use; hexadecimal, so that it needs no quoting anywhere."""
        return self.secrets.setdefault(name, secrets.token_hex(24))


def load(file: Path, checkout: Path) -> State:
    """The kept state, or a new one.

    Raises:
        LocalProblem: the file cannot be read, or another release wrote the directory in another format.
    """
    if not file.exists():
        return State(checkout=str(checkout))
    try:
        found = json.loads(file.read_text())
        state = State(**found)
    except (ValueError, TypeError, OSError) as error:
        raise LocalProblem(
            f"{file} cannot be read ({error}); restore it, or choose another CONDARIUM_DATA_DIR"
        ) from error
    if state.format != FORMAT:
        raise LocalProblem(
            f"the data in {file.parent} has format {state.format}, this release works with format {FORMAT}; "
            f"run the release that made it, or start on fresh data: CONDARIUM_DATA_DIR=/another/directory make up"
        )
    return state


def remember_channel(layout: Layout, channel: str) -> None:
    """Keep which channel answers for conda-forge; the next `up` tells the services."""
    state = load(layout.state, layout.checkout)
    state.channel = channel
    save(state, layout.state)


def save(state: State, file: Path) -> None:
    """Write it whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(asdict(state), indent=1, sort_keys=True) + "\n")
    unfinished.replace(file)

"""The web UI of this run, fetched once."""

from deploy.local.layout import Layout
from deploy.ui.fetch import UiProblem, fetch


def make(layout: Layout) -> str | None:
    """Fetch it where there is none; returns a sentence when that failed: all but /ui/ works without."""
    if layout.ui.exists():
        return None
    try:
        fetch(layout.ui)
    except (UiProblem, OSError) as error:
        return f"no web UI at /ui/ yet: {error}"
    return None

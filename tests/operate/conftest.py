"""What running Condarium needs of its tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: data directories hold sockets, whose paths must be short, and pytest's own are long."""
    with tempfile.TemporaryDirectory(prefix="cond-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)

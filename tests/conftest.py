"""Fixtures that every capability uses. Those of one area stand in `tests/fixtures/<area>.py` and are named here."""

import pytest

# Fixtures import each other, in whatever order: all of them get pytest's assertions.
pytest.register_assert_rewrite("tests.fixtures")

pytest_plugins = [
    "tests.fixtures.infrastructure",
    "tests.fixtures.browser",
    "tests.fixtures.channel",
    "tests.fixtures.containers",
    "tests.fixtures.engine",
    "tests.fixtures.edges",
    "tests.fixtures.environments",
    "tests.fixtures.compose",
    "tests.fixtures.gateway",
    "tests.fixtures.local_run",
    "tests.fixtures.packager",
    "tests.fixtures.provider",
    "tests.fixtures.registry",
    "tests.fixtures.s3",
]

"""Fixtures that every capability uses. Those of one area stand in `tests/fixtures/<area>.py` and are named here."""

pytest_plugins = [
    "tests.fixtures.channel",
    "tests.fixtures.engine",
    "tests.fixtures.environments",
    "tests.fixtures.infrastructure",
    "tests.fixtures.registry",
    "tests.fixtures.s3",
]

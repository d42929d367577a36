"""Fixtures that every capability uses. Those of one area stand in `tests/fixtures/<area>.py` and are named here."""

pytest_plugins = ["tests.fixtures.infrastructure", "tests.fixtures.s3"]

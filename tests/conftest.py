"""Fixtures that every capability uses. Those of one area stand in `tests/fixtures/<area>.py` and are named here."""

import pytest
import structlog

# As services have it: records go to `logging`. Left alone, structlog prints on `sys.stdout`, which pytest replaces
# between tests while a server in a thread may still be writing there; CPython then writes to a freed object.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)

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
    "tests.fixtures.service_logs",
]

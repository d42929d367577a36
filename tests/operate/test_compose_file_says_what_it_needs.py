"""docker-compose.yml, its settings and its scripts agree with the register, with each other and with the local run."""

import http.server
import importlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from condarium.config import REGISTER, check_all
from deploy.local.rabbitmq import PrivateRabbit
from tests.fixtures.compose import read_env
from tests.fixtures.infrastructure import require

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES = ("api", "builder", "packager", "registry", "watcher")
COMPOSE_ONLY = {name for name, setting in REGISTER.items() if setting.description.startswith("compose:")}


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_of_a_service_reaches_it(service: str) -> None:
    config = vars(importlib.import_module(f"services.{service}.config"))
    kinds = [kind for name, kind in config.items() if name.endswith("Settings")]
    wanted = {f"CONDARIUM_{name.upper()}" for kind in kinds for name in kind.__dataclass_fields__}
    # Containers listen on all their addresses, and this one is for loopback only.
    wanted.discard("CONDARIUM_DEVELOPMENT_LOGIN")
    assert wanted - set(FILE["services"][service]["environment"]) == set()


def test_all_names_are_in_the_register() -> None:
    used = set(re.findall(r"CONDARIUM_[A-Z0-9_]+", TEXT + (ROOT / "deploy/compose/env.example").read_text()))
    assert used - set(REGISTER) == set()
    passed = set(FILE["x-settings"])
    assert passed & COMPOSE_ONLY == set()
    assert COMPOSE_ONLY - used == set()


def test_defaults_are_those_of_the_register() -> None:
    for name, default in re.findall(r"\$\{(CONDARIUM_[A-Z0-9_]+):-([^}]+)\}", TEXT):
        if REGISTER[name].default is not None:
            assert default == REGISTER[name].default, name


def test_ports_are_published_on_the_chosen_address_only() -> None:
    published = {name: service.get("ports", []) for name, service in FILE["services"].items()}
    assert sorted(name for name, ports in published.items() if ports) == ["api", "rabbitmq", "registry", "s3"]
    for ports in published.values():
        assert all(port.startswith("${CONDARIUM_PUBLISH_ADDRESS:-127.0.0.1}:") for port in ports)


@pytest.mark.parametrize("service", SERVICES)
def test_a_stop_gives_more_time_than_the_drain_takes(service: str) -> None:
    grace = FILE["services"][service]["stop_grace_period"]
    drain = float(REGISTER["CONDARIUM_BUILDER_DRAIN_SECONDS"].default or 0)
    # after the drain a builder ends what is left, which may take ten seconds for each of two slots
    assert int(grace.removesuffix("s")) >= drain + 20


def test_nothing_needs_buildkit() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert not re.search(r"^# *syntax|--mount=|--link|--chmod|--parents|<<", dockerfile, re.MULTILINE)


def test_settings_are_made_once_with_a_secret_of_its_own_for_each(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy/compose", tmp_path / "deploy/compose")
    make = ["sh", "deploy/compose/make-env.sh"]
    subprocess.run(make, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    values = read_env(file)
    check_all(values)
    secrets = [value for value in values.values() if re.fullmatch("[0-9a-f]{48}", value)]
    assert len(secrets) == len(set(secrets)) == 6
    assert set(re.findall(r"\$\{(CONDARIUM_[A-Z0-9_]+):\?", TEXT)) <= set(values)

    before = file.read_text()
    again = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 1
    assert ".env is there already" in again.stderr
    assert file.read_text() == before


def test_without_settings_compose_says_how_to_make_them(tmp_path: Path) -> None:
    require(shutil.which("docker-compose") is not None, "docker-compose")
    shutil.copy2(ROOT / "docker-compose.yml", tmp_path)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CONDARIUM_")}
    asked = subprocess.run(
        ["docker-compose", "-f", str(tmp_path / "docker-compose.yml"), "config"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert asked.returncode != 0
    assert "make a .env with sh deploy/compose/make-env.sh" in asked.stderr


def test_broker_accounts_may_what_those_of_the_local_run_may(tmp_path: Path) -> None:
    PrivateRabbit(tmp_path / "rabbit").prepare()
    local = json.loads((tmp_path / "rabbit/definitions.json").read_text())
    ours = json.loads((ROOT / "deploy/compose/rabbitmq/definitions.json").read_text())
    for part in ("permissions", "exchanges", "vhosts"):
        assert ours[part] == local[part]
    assert [(user["name"], user["tags"]) for user in ours["users"]] == [
        (user["name"], user["tags"]) for user in local["users"]
    ]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (None, 1)])
def test_the_health_check_says_what_readyz_says(status: int | None, code: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" and status else 404)
            self.end_headers()
            self.wfile.write(b'{"away": {"broker": "is away"}}')

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_address[1])
    if status is None:
        server.shutdown()
        server.server_close()
    nobody = "1"  # nothing listens there
    done = subprocess.run(
        [sys.executable, "-IS", ROOT / "deploy/compose/health.py"],
        env={"CONDARIUM_HEALTH_PORT": nobody, "CONDARIUM_API_PORT": port, "CONDARIUM_REGISTRY_PORT": nobody},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done
    assert ("broker" if status else "nothing listens yet") in done.stdout
    if status is not None:
        server.shutdown()
        server.server_close()

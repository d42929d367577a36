"""A setting is in the register or it stops the start, with a sentence that names it."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from condarium.config import PREFIX, REGISTER, check_all, load
from condarium.errors import ConfigError

ROOT = Path(__file__).parents[2]
SERVICES = ("api", "builder", "packager", "registry", "watcher")

NEEDED = {
    "CONDARIUM_DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/d",
    "CONDARIUM_AMQP_URL": "amqp://u:hush@127.0.0.1:1/",
    "CONDARIUM_STORAGE_URL": "file:///tmp/nowhere",
    "CONDARIUM_SECRET": "hush",
    "CONDARIUM_ADMIN_TOKEN": "hush",
    "CONDARIUM_STORE": "/tmp/nowhere",
    "CONDARIUM_PACKAGER_CACHE": "/tmp/nowhere",
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_takes_its_settings_out_of_the_register(service: str) -> None:
    settings = importlib.import_module(f"services.{service}.config").Settings
    made = load(settings, NEEDED)
    assert dataclasses.is_dataclass(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.log_level = "debug"


@pytest.mark.parametrize("service", SERVICES)
def test_an_unknown_name_stops_every_service(service: str) -> None:
    settings = importlib.import_module(f"services.{service}.config").Settings
    with pytest.raises(ConfigError, match=r"CONDARIUM_BULDER_SLOTS .* did you mean CONDARIUM_BUILDER_SLOTS\?"):
        load(settings, NEEDED | {"CONDARIUM_BULDER_SLOTS": "2"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONDARIUM_BUILDER_SLOTS", "many", "a whole number from 1 to 64"),
        ("CONDARIUM_API_PORT", "70000", "a whole number from 0 to 65535"),
        ("CONDARIUM_LOG_LEVEL", "loud", "one of debug, info"),
        ("CONDARIUM_EXTERNAL_URL", "example.org", "starts with http://"),
        ("CONDARIUM_STORE", "relative", "an absolute path"),
        ("CONDARIUM_CHANNEL_MIRRORS", "{", "JSON"),
        ("CONDARIUM_CHANNEL_MIRRORS", '{"a": 1}', "lists of strings"),
        ("CONDARIUM_LINK_SCRIPTS", "maybe", "true or false"),
    ],
)
def test_a_malformed_value_is_named_with_what_is_allowed(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .*{re.escape(said)}"):
        check_all({name: value})


def test_a_malformed_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        check_all({"CONDARIUM_DATABASE_URL": "mysql://u:hush@h/d"})
    assert "hush" not in str(caught.value)


def test_every_default_is_allowed() -> None:
    check_all({name: setting.default for name, setting in REGISTER.items() if setting.default is not None})


def test_every_name_in_the_code_is_in_the_register() -> None:
    files = [
        p
        for top in ("services", "shared", "deploy")
        for p in (ROOT / top).rglob("*")
        if p.suffix in {".py", ".sh", ".yml"}
    ]
    used = {name for path in files for name in re.findall(r"\bCONDARIUM_[A-Z0-9_]*[A-Z0-9]\b", path.read_text())}
    assert {name for name in used if name not in REGISTER} <= {PREFIX.rstrip("_")}

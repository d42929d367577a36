"""The values that the services start with, and the file that tells them to people: `.local/condarium.env`."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from condarium.config import is_loopback
from deploy.local import ports, sample
from deploy.local.infrastructure import Infrastructure
from deploy.local.settings import Settings
from deploy.local.state import State

# What a program may need of the caller's own environment: places, proxies, certificates, the package index of pip/uv.
PASSED = ("HOME", "USER", "LOGNAME", "TZ", "TMPDIR", "REQUESTS_CA_BUNDLE", "NO_COLOR")
PASSED_BEGINNINGS = ("LC_", "PIP_", "UV_", "XDG_", "SSL_CERT_")
PASSED_ENDINGS = ("_proxy", "_PROXY")
# These say where clients find this run; what the caller has there belongs to some other one.
CLIENT = ("CONDARIUM_API_URL", "CONDARIUM_REGISTRY", "CONDARIUM_TOKEN", "CONDARIUM_SUBSCRIBER_AMQP_URL")


def chosen(settings: Settings, state: State) -> dict[str, str]:
    """The caller's own choices: without what only stands there because the environment file was sourced."""
    return {
        name: value for name, value in settings.given.items() if name not in CLIENT and state.derived.get(name) != value
    }


# What Debian's ca-certificates keeps, with the authorities that an administrator added.
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def derived(
    settings: Settings, state: State, given: Mapping[str, str], infrastructure: Infrastructure
) -> dict[str, str]:
    """Every value that follows from the data directory, its ports and its secrets; `given` goes before it."""
    layout = settings.layout
    api, registry = str(state.ports["api"]), str(state.ports["registry"])
    token = given.get("CONDARIUM_ADMIN_TOKEN") or state.secret("token")
    external = given.get("CONDARIUM_EXTERNAL_URL") or f"http://{ports.LOOPBACK}:{api}"
    registry_external = given.get("CONDARIUM_REGISTRY_EXTERNAL") or f"{ports.LOOPBACK}:{registry}"
    values = {
        "CONDARIUM_BIND": ports.LOOPBACK,
        "CONDARIUM_API_PORT": api,
        "CONDARIUM_REGISTRY_PORT": registry,
        "CONDARIUM_EXTERNAL_URL": external,
        "CONDARIUM_REGISTRY_EXTERNAL": registry_external,
        "CONDARIUM_API_URL": external,
        "CONDARIUM_REGISTRY": registry_external,
        "CONDARIUM_ADMIN_TOKEN": token,
        "CONDARIUM_TOKEN": token,
        "CONDARIUM_SECRET": state.secret("signing key"),
        "CONDARIUM_DEVELOPMENT_LOGIN": "true" if is_loopback(given.get("CONDARIUM_BIND", ports.LOOPBACK)) else "false",
        "CONDARIUM_DATA_DIR": str(layout.data),
        "CONDARIUM_STORE": str(layout.store),
        "CONDARIUM_CACHE": str(layout.cache),
        "CONDARIUM_PACKAGER_CACHE": str(layout.packager_cache),
        **infrastructure.addresses(),
    }
    if SYSTEM_CERTIFICATES.exists():
        values["CONDARIUM_CA_BUNDLE"] = os.environ.get("SSL_CERT_FILE") or str(SYSTEM_CERTIFICATES)
    if layout.base_image.exists():
        values["CONDARIUM_BASE_IMAGE"] = str(layout.base_image)
    if layout.ui.exists():
        values["CONDARIUM_UI"] = str(layout.ui)
    if state.channel == sample.SAMPLE:
        values |= sample.values(layout.channel)
    return values


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What programs get of the caller's environment."""
    passed = {
        name: value
        for name, value in environ.items()
        if name in PASSED or name.startswith(PASSED_BEGINNINGS) or name.endswith(PASSED_ENDINGS)
        if not name.startswith("CONDARIUM_")
    }
    return passed | {"PATH": environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"), "LANG": "C.UTF-8"}


def write_file(file: Path, values: Mapping[str, str]) -> None:
    """Write the file that a shell can source; only its owner can read it, for it holds the token."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Made by `make up`, which makes it anew. Use it with:  . .local/condarium.env",
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(values.items())),
    ]
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text("\n".join(lines) + "\n")
    unfinished.replace(file)

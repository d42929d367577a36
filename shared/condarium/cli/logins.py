"""What `condarium login` keeps: a token for each server, in a file that only its owner reads."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import platformdirs

from condarium.errors import InvalidInput

OWNER_ONLY = 0o600


def file() -> Path:
    """Where they are; CONDARIUM_API_URL and CONDARIUM_TOKEN win over what it says."""
    return Path(platformdirs.user_config_dir("condarium")) / "logins.json"


def _read() -> dict[str, Any]:
    path = file()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["servers"], dict):
            raise TypeError("servers")
    except FileNotFoundError:
        return {"default": None, "servers": {}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} cannot be read ({error}); remove it and log in again") from None
    return dict(content)


def _write(content: dict[str, Any]) -> None:
    path = file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # mkstemp makes it for the owner alone, before a byte is in it.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".logins-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            os.fchmod(out.fileno(), OWNER_ONLY)
            json.dump(content, out, indent=2)
            out.write("\n")
        os.replace(name, path)
    except OSError as error:
        raise InvalidInput(f"the login cannot be kept in {path}: {error.strerror}") from None


def default_url() -> str | None:
    """The server of the last login."""
    found = _read()["default"]
    return str(found) if found else None


def token_of(url: str) -> str | None:
    """The token that is kept for a server."""
    found = _read()["servers"].get(url)
    return str(found["token"]) if found else None


def keep(url: str, token: str, *, token_id: int | None, expires_on: str | None) -> Path:
    """Keeps a token; `token_id` where it was made by the login, and is to end with it."""
    content = _read()
    content["servers"][url] = {"token": token, "token_id": token_id, "expires_on": expires_on}
    content["default"] = url
    _write(content)
    return file()


def forget(url: str) -> dict[str, Any] | None:
    """What was kept, which is not there any more; None when there was nothing."""
    content = _read()
    found = content["servers"].pop(url, None)
    if found is None:
        return None
    if content["default"] == url:
        content["default"] = next(iter(content["servers"]), None)
    _write(content)
    return dict(found)

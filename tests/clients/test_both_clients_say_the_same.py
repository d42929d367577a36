"""The synchronous client is made of the asynchronous one, and both know what the server answers."""

import inspect
import re
from typing import Any

import pytest

from condarium.client import AsyncClient, Client, unasync
from condarium.client import models as shown
from condarium.client.models import access, builds, environments, garbage, packages, settings, solves
from services.api.replies import audit as audit_replies
from services.api.replies import base_images as base_image_replies
from services.api.replies import builds as build_replies
from services.api.replies import credentials as credential_replies
from services.api.replies import environments as environment_replies
from services.api.replies import garbage as garbage_replies
from services.api.replies import packages as package_replies
from services.api.replies import publishing as publishing_replies
from services.api.replies import settings as setting_replies
from services.api.replies import solves as solve_replies
from services.api.replies import status as status_replies
from services.api.replies import tokens as token_replies
from services.api.replies import usage as usage_replies
from services.api.replies import users as user_replies

REPLIES = (
    audit_replies,
    base_image_replies,
    build_replies,
    credential_replies,
    publishing_replies,
    environment_replies,
    garbage_replies,
    package_replies,
    setting_replies,
    solve_replies,
    status_replies,
    token_replies,
    usage_replies,
    user_replies,
)
#: made by the client itself, of several replies
OWN = {"Image"}
MODELS = [
    model
    for module in (access, builds, environments, garbage, packages, settings, solves)
    for model in vars(module).values()
    if inspect.isclass(model) and issubclass(model, shown.Shown) and model.__module__ == module.__name__
]


def test_the_synchronous_client_is_up_to_date() -> None:
    made = unasync.make()
    found = {path.name: path.read_text() for path in unasync.MADE.glob("*.py")}
    assert found == made, "run `make client`"


def test_both_have_the_same_documented_methods() -> None:
    def public(kind: type) -> dict[str, Any]:
        return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_") and name != "aclose"}

    ours, theirs = public(Client), public(AsyncClient)
    ours.pop("close")
    assert ours.keys() == theirs.keys()
    assert len(ours) > 60
    mute = [name for name, method in ours.items() if not inspect.getdoc(method)]
    assert mute == []
    for name, method in ours.items():
        assert list(inspect.signature(method).parameters) == list(inspect.signature(theirs[name]).parameters)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_has_the_fields_of_its_reply(model: Any) -> None:
    if model.__name__ in OWN:
        pytest.skip("put together by the client")
    name = {"Environment": "EnvironmentV2"}.get(model.__name__, model.__name__)
    reply = next(found for module in REPLIES if (found := getattr(module, name, None)) is not None)

    def wire(kind: Any) -> dict[str, bool]:
        return {field.alias or key: field.is_required() for key, field in kind.model_fields.items()}

    assert wire(model) == wire(reply)


def test_the_made_client_waits_for_nothing() -> None:
    """A word that the translation does not know would stand there as it is."""
    for path in unasync.MADE.glob("*.py"):
        code = path.read_text().replace(unasync.NOTE, "")
        assert re.findall(r"\b(async|await|asyncio|asynchronous|Async[A-Z]\w*)\b", code) == [], path.name

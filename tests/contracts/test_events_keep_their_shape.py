"""What was ever sent is understood for ever, and the documents say what is sent.

`events/` holds a message of every version ever shipped, as subscribers have it in their own tests: a file there is
never changed. A change that makes one of these tests fail is a new version of the event, in a new file.
"""

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from condarium.events import EVENTS, Event, envelope, parse
from condarium.messaging import document
from condarium.messaging.event_fields import FIELDS
from condarium.messaging.received import decode

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = sorted((HERE / "events").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_message_ever_shipped_is_understood(path: Path) -> None:
    golden = load(path)
    key = golden["type"].removeprefix("condarium.")
    event = parse(key, golden["data"])
    assert type(event) is EVENTS[key]
    # what was in it then is in it now, with the same value
    data = json.loads(json.dumps(event.data()))
    assert {name: data.get(name) for name in golden["data"]} == golden["data"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_message_ever_shipped_is_what_is_sent_now(path: Path) -> None:
    golden = load(path)
    key = golden["type"].removeprefix("condarium.")
    sent = envelope(
        event_id=UUID(golden["id"]),
        routing_key=key,
        source=golden["source"],
        subject=golden["subject"],
        time=datetime.fromisoformat(golden["time"]),
        data=parse(key, golden["data"]).data(),
    )
    received = decode(key, json.dumps(sent))
    assert str(received.event_id) == golden["id"]
    for name, value in golden.items():
        if name != "data":
            assert sent[name] == value


@pytest.mark.parametrize("key", EVENTS)
def test_every_event_has_a_golden_message_with_all_its_fields(key: str) -> None:
    messages = [load(path) for path in GOLDEN if path.stem.split("--")[0] == key]
    assert messages, f"write tests/contracts/events/{key}.json"
    assert any(set(message["data"]) == names(EVENTS[key]) for message in messages)


def names(cls: type[Event]) -> set[str]:
    return {item.name for item in dataclasses.fields(cls)}


def test_unknown_fields_of_a_newer_release_are_ignored() -> None:
    golden = load(HERE / "events/build.completed.v1.json")
    assert parse("build.completed.v1", golden["data"] | {"later": 1}) == parse("build.completed.v1", golden["data"])


def test_every_field_has_a_sentence_and_no_sentence_is_left_over() -> None:
    assert set(FIELDS) == set().union(*(names(cls) for cls in EVENTS.values()))
    for cls in EVENTS.values():
        assert cls.__doc__, cls
        assert not cls.__doc__.startswith(f"{cls.__name__}("), f"{cls.__name__} has no docstring of its own"


def test_the_documents_are_current() -> None:
    command = "python -m condarium.messaging.document docs"
    assert (ROOT / "docs/events.md").read_text() == document.events_document(), f"run {command}"
    assert (ROOT / "docs/asyncapi.yaml").read_text() == document.asyncapi_document(), f"run {command}"


def test_the_asyncapi_file_describes_the_golden_messages() -> None:
    described = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())
    assert described["asyncapi"].startswith("3.")
    for path in GOLDEN:
        golden = load(path)
        key = golden["type"].removeprefix("condarium.")
        message = described["components"]["messages"][key]
        assert described["channels"][key]["messages"][key]["$ref"] == f"#/components/messages/{key}"
        check(golden, message["payload"], key)
        check(message["examples"][0]["payload"], message["payload"], key)


def check(value: Any, schema: dict[str, Any], where: str) -> None:
    """The few words of JSON schema that the file uses."""
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "null": type(None)}
    if "const" in schema:
        assert value == schema["const"], where
        return
    if "enum" in schema:
        assert value in schema["enum"], where
        return
    allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert type(value) in {kinds[kind] for kind in allowed}, where
    for name in schema.get("required", ()):
        assert name in value, f"{where}.{name}"
    for name, item in schema.get("properties", {}).items():
        if name in value:
            check(value[name], item, f"{where}.{name}")
    for item in value if isinstance(value, list) else ():
        check(item, schema["items"], where)


def test_golden_messages_are_readable() -> None:
    for path in GOLDEN:
        assert path.read_text() == json.dumps(load(path), indent=2, ensure_ascii=False) + "\n", path

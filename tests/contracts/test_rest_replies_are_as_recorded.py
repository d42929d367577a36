"""Golden replies: one of each route, kept in `replies/`, the same every time, and of the shapes of the reference.

RECORD_REPLIES=1 writes them anew; what changes by that is a change of the contract.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.fixtures.declared import patterns
from tests.fixtures.gateway import RunningGateway, running_gateway
from tests.fixtures.infrastructure import _database
from tests.fixtures.reference_shapes import OURS, SHAPES
from tests.fixtures.rest_scenario import STEPS, Step, prepare, solving

REPLIES = Path(__file__).parent / "replies"
#: headers that are part of the contract
HEADERS = ("content-type", "location", "deprecation", "sunset", "content-disposition", "set-cookie")
VARIES = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(?=Z|\+|\"|$)"), "2026-11-23T00:00:00.000000"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "00000000-0000-4000-8000-000000000000"),
    (re.compile(r"\b([0-9a-f]{8})-\d{10}-(\d+)-"), r"\1-1790000000-\2-"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"), "HEADER.CLAIMS.SIGNATURE"),
    (re.compile(r"expires=\d+&"), "expires=1790000000&"),
    (re.compile(r"signature=[\w-]+"), "signature=SIGNATURE"),
    (re.compile(r"127\.0\.0\.1(:\d+)?"), "127.0.0.1"),
    (re.compile(r"(?<=max-age=)[1-9]\d*", re.IGNORECASE), "86399"),
    (re.compile(r"expires=\w{3}, [\w: ]+ GMT"), "expires=then"),
    (re.compile(r"test_[0-9a-f]{12}"), "test"),
    (re.compile(r'(?<="fingerprint":")[0-9a-f]{64}'), "0" * 64),
    (re.compile(r"(?s)-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----"), "PUBLIC KEY"),
)  # fmt: skip
#: bodies that are pages, figures or pictures: that they are there is enough
LONG = ("text/html", "image/", "text/css", "text/plain; version=")


@pytest.fixture(scope="module")
def scene(
    postgres_server: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway of its own, with a web UI."""
    directory = tmp_path_factory.mktemp("ui")
    for name in ("main.js", "main.css"):
        (directory / name).write_text("/* the web UI */")
    for url in _database(postgres_server, f'TEMPLATE "{migrated_template}"'):
        with running_gateway(url, tmp_path_factory.mktemp("storage"), ui=directory) as running:
            prepare(running)
            yield running


@pytest.fixture(scope="module")
def recorded(scene: RunningGateway) -> dict[str, Any]:
    """What each step is answered now."""
    found = {}
    with solving(scene):
        for step in STEPS:
            if step.route == "GET /api/v1/events/":
                # From here on streams end by themselves.
                scene.gateway.feed.close()
            reply = scene.admin.request(step.method, step.path, json=step.body, headers=step.headers)
            scene.admin.cookies.clear()
            found[step.route] = shown(step, reply)
    return found


def shown(step: Step, reply: httpx.Response) -> dict[str, Any]:
    kind = reply.headers.get("content-type", "")
    body: Any = reply.text
    if kind == "application/json":
        body = {"openapi": "..."} if step.path == "/openapi.json" else json.loads(steady(reply.text))
    elif kind.startswith(LONG):
        body = "..."
    elif kind == "text/event-stream":
        body = re.findall(r"^event: (.*)$", reply.text, re.MULTILINE)
    else:
        body = steady(reply.text)
    headers = {name: steady(reply.headers[name]) for name in HEADERS if name in reply.headers}
    request: dict[str, Any] = {"method": step.method, "path": step.path}
    if step.body is not None:
        request["body"] = step.body
    return {"request": request, "status": reply.status_code, "headers": headers, "body": body}


def steady(text: str) -> str:
    """What is another thing each time, by the same word."""
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text


def file_of(step: Step) -> Path:
    words = re.findall(r"[A-Za-z0-9.-]+", urlsplit(step.route.partition(" ")[2]).path.removeprefix("/api"))
    return REPLIES / f"{'_'.join([step.method.lower(), *words]).removesuffix('.json')}.json"


@pytest.mark.parametrize("step", STEPS, ids=[step.route for step in STEPS])
def test_each_route_answers_as_it_is_recorded(recorded: dict[str, Any], step: Step) -> None:
    found = recorded[step.route]
    path = file_of(step)
    if os.environ.get("RECORD_REPLIES"):
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    assert found["status"] < 500
    assert json.loads(path.read_text()) == found


@pytest.mark.parametrize("step", STEPS, ids=[step.route for step in STEPS])
def test_each_recording_has_the_shape_of_the_reference(step: Step) -> None:
    recording = json.loads(file_of(step).read_text())
    if step.route in OURS:
        assert step.route not in SHAPES
        return
    shape = SHAPES[step.route]
    assert recording["status"] == shape.status
    assert recording["headers"].get("content-type", "").partition(";")[0] == shape.media_type
    assert set(shape.headers) <= set(recording["headers"])
    faults = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(shape.body).iter_errors(recording["body"])
    ]
    assert faults == []


def test_every_route_is_recorded_once(scene: RunningGateway) -> None:
    routes = {f"{method} {pattern}" for method, pattern in patterns(scene.gateway)}
    assert routes == {step.route for step in STEPS}
    assert len(STEPS) == len({step.route for step in STEPS}) == len({file_of(step) for step in STEPS})


def test_nothing_is_recorded_that_is_not_asked() -> None:
    assert {path.name for path in REPLIES.iterdir()} == {file_of(step).name for step in STEPS}


def test_the_shapes_are_of_routes_that_are_there() -> None:
    assert set(SHAPES) | set(OURS) == {step.route for step in STEPS}

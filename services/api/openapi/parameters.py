"""Parts of paths, queries and headers, as OpenAPI has them."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.routing import Route

from condarium.domain.artifact import ArtifactType

_NAME = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"}
_ID = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
#: part of a path: schema, example, what it is
PARTS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "namespace": (_NAME, "default", "a namespace"),
    "environment_name": (_NAME, "first", "an environment of the namespace"),
    "build_id": (_ID, 1, "a build"),
    "artifact_type": ({"type": "string", "enum": [str(each) for each in ArtifactType]}, "LOCKFILE", "what to make"),
    "user_name": ({"type": "string"}, "somebody", "somebody who has logged in"),
    "sweep_id": (_ID, 1, "a sweep or a verification"),
    "token_id": (_ID, 1, "a token"),
    "subject": (_NAME, "channel", "on GET a namespace, else a credential of the whole installation"),
    "credential": (_NAME, "channel", "a credential of the namespace"),
    "rule": (_NAME, "there", "a publish rule"),
    "publication_id": (_ID, 1, "the image of a build on its way to another registry"),
    "base_image_id": (_ID, 1, "a base image"),
    "key": ({"type": "string"}, "blobs/sha256/0", "where storage keeps it"),
    "path": ({"type": "string"}, "default/first", "an address of the web UI"),
    "file": ({"type": "string", "enum": ["main.js", "main.css"]}, "main.js", "a file of the web UI"),
}


def of_path(route: Route) -> Iterator[dict[str, Any]]:
    for name in route.param_convertors:
        schema, example, words = PARTS.get(name, ({"type": "string"}, None, ""))
        made = {"name": name, "in": "path", "required": True, "description": words, "schema": schema}
        yield made if example is None else {**made, "example": example}


def of_query(model: type[BaseModel], properties: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, schema in properties.items():
        item = model.model_fields.get(name)
        shown = _without_null(schema)
        words = shown.pop("description", "")
        made = {"name": name, "in": "query", "required": bool(item and item.is_required()), "schema": shown}
        yield {**made, "description": words} if words else made


def of_headers(taken: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, words in taken.items():
        yield {"name": name, "in": "header", "required": False, "description": words, "schema": {"type": "string"}}


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query cannot say null: it leaves the name out."""
    found = {key: value for key, value in schema.items() if key != "title" and (key, value) != ("default", None)}
    if "anyOf" in found:
        left = [each for each in found["anyOf"] if each != {"type": "null"}]
        if len(left) == 1:
            del found["anyOf"]
            found = {**left[0], **found}
        else:
            found["anyOf"] = left
    return found

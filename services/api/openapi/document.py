"""OpenAPI 3.1 out of declarations: the models that validate requests, and those that tests hold replies against."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel, TypeAdapter
from starlette.routing import Route

from condarium.http.caller import COOKIE
from services.api.declaration import Declaration, DeclaredRoute, Reply
from services.api.openapi import parameters

_REF = "#/components/schemas/{model}"
_DEPRECATION = {"Deprecation": "`True`", "Sunset": "since when not to use it any more"}

DESCRIPTION = """\
conda-store's REST contract, release 2025.2.2, and what Condarium has beside it.

- Addresses end with a slash. Reading without it is answered as well; other methods are sent to the address with the
  slash (307). All of them are at `/` and under the prefix of the installation.
- Replies are `{"status": "ok", "data": ..., "message": null}`; lists have `page`, `size` and `count` beside.
  Fields named `condarium` are ours.
- Errors are `{"status": "error", "message": "a sentence", "code": "a-word"}`, those of a request that does not fit its
  model `{"detail": [{"type", "loc", "msg", "input"}]}`, those of an unknown address `{"detail": "Not Found"}`.
- Times are UTC without an offset. Pages count from 1; `size` above 100 is 100.
- Whoever shows no credential, or one that does not stand, is anonymous; what anonymous may not do is 403.
"""
TAGS = {
    "status": "What this is, and who asks",
    "namespace": "Namespaces and who has which role in them",
    "environment": "Names that point to builds",
    "specification": "What is asked for: the way in",
    "solve": "What would be built, without building it",
    "build": "Attempts to make an environment, and what is made of them",
    "package": "What the channels have",
    "channel": "The channels that are indexed",
    "ui": "The web UI",
    "events": "What happens, as it happens",
    "token": "Tokens: listed, named, revocable",
    "user": "Who has logged in",
    "setting": "Settings by level",
    "usage": "What namespaces hold, and how much they may",
    "credential": "Credentials for channels, indexes and registries: written, never read",
    "base-image": "What images stand on",
    "audit": "Who did what",
    "storage": "Bytes, by addresses that are good for a minute",
    "login": "Logging in and out",
    "pages": "Pages for people",
    "operating": "What those who run it ask",
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole description; `servers` is for the caller to say."""
    described = [route for route in routes if isinstance(route, DeclaredRoute) and not route.declaration.is_page]
    schemas = _Schemas(_models(described))
    paths: dict[str, Any] = {}
    used: set[str] = set()
    for route in described:
        operation = _operation(route, schemas)
        used |= set(operation["tags"])
        for method in sorted((route.methods or set()) - {"HEAD"}):
            named = {"operationId": _identity(method, route.path_format), **operation}
            paths.setdefault(route.path_format, {})[method.lower()] = named
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Condarium",
            "version": _version(),
            "description": DESCRIPTION,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "tags": [{"name": tag, "description": TAGS.get(tag, "")} for tag in _in_order(used)],
        "security": [{}, {"cookie": []}, {"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {"schemas": schemas.components(paths), "securitySchemes": _SECURITY},
    }


_SECURITY = {
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What `POST /login/` sets",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token of `POST /api/v1/token/`, or a service's"},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name; the password is a token"},
}


def _version() -> str:
    try:
        return version("condarium")
    except PackageNotFoundError:
        return "0+checkout"


def _in_order(tags: set[str]) -> list[str]:
    return [tag for tag in TAGS if tag in tags] + sorted(tags - set(TAGS))


def _identity(method: str, path: str) -> str:
    return "_".join([method.lower(), *re.findall(r"[A-Za-z0-9]+", path.removeprefix("/api"))])


def _models(routes: Iterable[DeclaredRoute]) -> Iterator[Any]:
    for route in routes:
        said = route.declaration
        yield from (each for each in (said.query, said.body) if each is not None)
        yield from (reply.model for reply in said.replies if reply.model is not None)


class _Schemas:
    """JSON Schemas of all models, with what they share."""

    def __init__(self, models: Iterable[Any]) -> None:
        adapters = {str(model): TypeAdapter(model) for model in models}
        found, shared = TypeAdapter.json_schemas(
            [(name, "validation", adapter) for name, adapter in adapters.items()], ref_template=_REF
        )
        renamed = _titles(shared.get("$defs", {}))
        self._found = {name: _renamed(schema, renamed) for (name, _), schema in found.items()}
        self._shared: dict[str, Any] = {
            renamed.get(name, name): _renamed(schema, renamed) for name, schema in shared.get("$defs", {}).items()
        }

    def of(self, model: Any) -> dict[str, Any]:
        """A reference where the model has a name of its own."""
        found: dict[str, Any] = self._found[str(model)]
        return found

    def properties(self, model: type[BaseModel]) -> dict[str, Any]:
        """The fields of a model, followed to where they stand."""
        schema = self.of(model)
        if "$ref" in schema:
            schema = self._shared[schema["$ref"].rpartition("/")[2]]
        found: dict[str, Any] = schema.get("properties", {})
        return found

    def components(self, paths: dict[str, Any]) -> dict[str, Any]:
        """What is referred to, and what that refers to: models of queries are not, their fields stand alone."""
        wanted, waiting = set[str](), set(_references(paths))
        while waiting:
            name = waiting.pop()
            wanted.add(name)
            waiting |= set(_references(self._shared[name])) - wanted
        return {name: self._shared[name] for name in sorted(wanted)}


def _titles(shared: Mapping[str, Any]) -> dict[str, str]:
    """Better names for schemas: pydantic calls `BuildPage` `PageOf_Build_`."""
    titles = {name: str(schema.get("title", name)) for name, schema in shared.items()}
    taken = Counter([*titles.values(), *shared])
    return {name: title for name, title in titles.items() if title.isidentifier() and taken[title] == 1}


def _renamed(content: Any, names: Mapping[str, str]) -> Any:
    match content:
        case {"$ref": str(target), **more}:
            name = target.rpartition("/")[2]
            return {"$ref": _REF.format(model=names.get(name, name)), **_renamed(more, names)}
        case dict():
            return {key: _renamed(value, names) for key, value in content.items()}
        case list():
            return [_renamed(each, names) for each in content]
    return content


def _references(content: Any) -> Iterator[str]:
    match content:
        case {"$ref": str(target)}:
            yield target.rpartition("/")[2]
        case dict():
            for each in content.values():
                yield from _references(each)
        case list():
            for each in content:
                yield from _references(each)


def _operation(route: DeclaredRoute, schemas: _Schemas) -> dict[str, Any]:
    said = route.declaration
    found: dict[str, Any] = {"tags": [said.tag], "summary": said.summary}
    if said.description:
        found["description"] = said.description
    taken = [
        *parameters.of_path(route),
        *(parameters.of_query(said.query, schemas.properties(said.query)) if said.query is not None else ()),
        *parameters.of_headers(said.takes),
    ]
    if taken:
        found["parameters"] = taken
    if said.body is not None:
        content = {kind: {"schema": schemas.of(said.body)} for kind in said.body_media_types}
        found["requestBody"] = {"required": not getattr(said.body, "may_be_empty", False), "content": content}
    if said.deprecated:
        found["deprecated"] = True
    found["responses"] = _responses(said, schemas)
    return found


def _responses(said: Declaration, schemas: _Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in sorted({each.status for each in said.replies}):
        replies = said.reply(status)
        headers = {name: words for each in replies for name, words in each.headers.items()}
        if said.deprecated and status < 400:
            headers |= _DEPRECATION
        reply: dict[str, Any] = {"description": "; or: ".join(dict.fromkeys(each.said for each in replies))}
        if headers:
            reply["headers"] = {
                name: {"description": words, "schema": {"type": "string"}} for name, words in headers.items()
            }
        content = {kind: _content(kind, replies, schemas) for kind in _kinds(replies)}
        if content:
            reply["content"] = content
        found[str(status)] = reply
    return found


def _kinds(replies: Sequence[Reply]) -> list[str]:
    return list(dict.fromkeys(each.media_type for each in replies if each.media_type))


def _content(kind: str, replies: Sequence[Reply], schemas: _Schemas) -> dict[str, Any]:
    of_kind = [each for each in replies if each.media_type == kind]
    known = [schemas.of(each.model) for each in of_kind if each.model is not None]
    schema: dict[str, Any] = {} if kind == "*/*" else {"type": "string"}
    if known:
        schema = known[0] if len(known) == 1 else {"anyOf": known}
    example = next((each.example for each in of_kind if each.example is not None), None)
    return {"schema": schema} if example is None else {"schema": schema, "example": example}

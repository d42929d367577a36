"""The description as one HTML page: no script, nothing from elsewhere."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

#: the page needs nothing but its own styles
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
METHODS = ("get", "post", "put", "patch", "delete")


def render(content: dict[str, Any], root: str) -> str:
    """`content` is the document, `root` the prefix that this client uses."""
    operations: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in content["tags"]}
    for path, methods in content["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                operations[operation["tags"][0]].append({**operation, "method": method.upper(), "path": path})
    return _template().render(
        info=content["info"],
        tags=content["tags"],
        operations=operations,
        schemas=content["components"]["schemas"],
        security=content["components"]["securitySchemes"],
        root=root,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = kind
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return environment.get_template("page.html")


def kind(schema: dict[str, Any]) -> str:
    """A schema in few words: `integer ≥ 1`, `list of string`, `Build`."""
    match schema:
        case {"$ref": str(target)}:
            return target.rpartition("/")[2]
        case {"enum": list(values)}:
            return " | ".join(map(str, values))
        case {"const": value}:
            return repr(value)
        case {"anyOf": list(choices)}:
            return " or ".join(dict.fromkeys(map(kind, choices)))
        case {"type": "array", "items": dict(item)}:
            return f"list of {kind(item)}"
        case {"type": "object", "additionalProperties": dict(item)}:
            return f"map of {kind(item)}"
        case {"type": str(name)}:
            bounds = [f"≥ {schema['minimum']}"] if "minimum" in schema else []
            bounds += [f"≤ {schema['maximum']}"] if "maximum" in schema else []
            return " ".join([name, *bounds])
    return "anything"

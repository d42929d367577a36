"""`condarium setting ...`, `condarium usage`, `condarium quota ...`"""

import json as json_format
from itertools import islice
from typing import Annotated, Any

import typer

from condarium.cli import completion
from condarium.cli.output import Json, Output, amount, minute
from condarium.cli.session import connect, naming, split_environment
from condarium.errors import InvalidInput

app = typer.Typer(help="Settings: global, of a namespace, of an environment.", no_args_is_help=True)
quota = typer.Typer(help="What a namespace may use.", no_args_is_help=True)

At = Annotated[
    str,
    typer.Option(
        "--at", help="NAMESPACE/ for a namespace's, NAMESPACE/NAME for an environment's; by default the global ones."
    ),
]
Key = Annotated[str, typer.Argument(help="A key", autocompletion=completion.settings)]
LIMITS = ("builds", "bytes", "concurrent_builds")


def place(text: str) -> tuple[str, str]:
    """(namespace, environment) that `--at` means."""
    if not text:
        return "", ""
    if text.endswith("/"):
        return text[:-1], ""
    return split_environment(text)


@app.command("list")
def list_settings(at: At = "", json: Json = False) -> None:
    """Lists every key with its value, where that comes from, and what it does."""
    with connect() as client:
        rows = client.setting_origins(*place(at))
    Output(json).rows(
        rows,
        {
            "key": lambda row: row.key,
            "value": lambda row: _shown(row.value),
            "from": lambda row: row.level,
            "changed": lambda row: f"{minute(row.changed_on)} {row.changed_by or ''}".strip(),
            "effect": lambda row: row.effect,
        },
    )


@app.command("get")
def get(
    key: Annotated[str | None, typer.Argument(autocompletion=completion.settings)] = None,
    at: At = "",
    json: Json = False,
) -> None:
    """Prints the value that holds for a key, as JSON; without a key, all of them."""
    with connect() as client:
        found = client.settings(*place(at))
    if key is None:
        Output(True).value(found)
        return
    if key not in found:
        raise InvalidInput(f"{key!r} is no setting; there are {', '.join(sorted(found))}")
    Output(True).value({"key": key, "value": found[key]} if json else found[key])


@app.command("set")
def set_value(
    key: Key,
    value: Annotated[str, typer.Argument(help="JSON, or a word that is its own value")],
    at: At = "",
    json: Json = False,
) -> None:
    """Sets a key at a level; levels further in go before."""
    try:
        parsed: Any = json_format.loads(value)
    except ValueError:
        parsed = value
    _change({key: parsed}, at, json)


@app.command("unset")
def unset(key: Key, at: At = "", json: Json = False) -> None:
    """Takes a value back, so that the level further out holds."""
    _change({key: None}, at, json)


def _change(values: dict[str, Any], at: str, json: bool) -> None:
    namespace, environment = place(at)
    with connect() as client:
        client.change_settings(values, namespace, environment)
        now = client.settings(namespace, environment)
    (key,) = values
    # An environment need not be there yet: only the sentence tells `--at team` from `--at team/`.
    where = f"environment {namespace}/{environment}" if environment else f"namespace {namespace}" if namespace else ""
    said = f"{key} is {_shown(now[key])} now" + (f" in the {where}" if where else "")
    Output(json).done(said, key=key, value=now[key])


@app.command("history")
def history(
    at: At = "",
    key: Annotated[str | None, typer.Option(help="Only of this one.", autocompletion=completion.settings)] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 50,
    json: Json = False,
) -> None:
    """Lists the changes made at exactly this level: who, when, from what, to what."""
    with connect() as client:
        found = (row for row in client.setting_history(*place(at)) if key in (None, row.key))
        rows = list(islice(found, limit))
    Output(json).rows(
        rows,
        {
            "when (UTC)": lambda row: minute(row.changed_on),
            "who": lambda row: row.changed_by,
            "key": lambda row: row.key,
            "from": lambda row: _shown(row.before),
            "to": lambda row: _shown(row.after),
        },
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json_format.dumps(value, ensure_ascii=False)


def usage(
    namespace: Annotated[str | None, typer.Argument(autocompletion=completion.namespaces)] = None, json: Json = False
) -> None:
    """Shows what namespaces use, and what is left of their quotas."""
    with connect() as client:
        found = client.usage()
    if namespace is not None:
        found = {name: each for name, each in found.items() if name == namespace}
    if json:
        Output(json).value(found)
        return
    rows = [
        {
            "namespace": name,
            "environments": each.num_environments,
            "builds": _of(each.num_builds, each.condarium.quota.builds),
            "running": _of(each.condarium.concurrent_builds, each.condarium.quota.concurrent_builds),
            "bytes": _of(each.storage, each.condarium.quota.bytes, amount),
            "its own": amount(each.condarium.exclusive),
            "shared": amount(each.condarium.shared),
            "saved by links": amount(each.condarium.saved_by_links),
        }
        for name, each in sorted(found.items())
    ]
    Output(json).table(
        rows, ["namespace", "environments", "builds", "running", "bytes", "its own", "shared", "saved by links"]
    )


def _of(used: int, limit: int | None, shown: Any = str) -> str:
    return (shown(used) or "0") + (f" of {shown(limit) or '0'}" if limit is not None else "")


@quota.command("show")
def show_quota(
    namespace: Annotated[str, typer.Argument(autocompletion=completion.namespaces)], json: Json = False
) -> None:
    """Shows the limits of a namespace."""
    with connect() as client, naming(f"namespace {namespace}", "namespace"):
        found = client.quota(namespace)
    if json:
        Output(json).value(found)
        return
    Output(json).details({name: _limit(found, name) for name in LIMITS})


def _limit(found: Any, name: str) -> Any:
    limit = getattr(found, name)
    return "none" if limit is None else limit


@quota.command("set")
def set_quota(
    namespace: Annotated[str, typer.Argument(autocompletion=completion.namespaces)],
    limits: Annotated[list[str], typer.Argument(help="builds=N bytes=N concurrent_builds=N; N or none")],
    json: Json = False,
) -> None:
    """Sets limits of a namespace; what is not named stays."""
    wanted: dict[str, int | None] = {}
    for text in limits:
        name, _, value = text.partition("=")
        if name not in LIMITS or not (value == "none" or (value.isascii() and value.isdecimal())):
            raise InvalidInput(
                f"{text!r} is no limit: write {', '.join(f'{each}=N' for each in LIMITS)}, N may be none"
            )
        wanted[name] = None if value == "none" else int(value)
    with connect() as client, naming(f"namespace {namespace}", "namespace"):
        client.change_quota(namespace, wanted)
        found = client.quota(namespace)
    Output(json).done(
        f"{namespace}: " + ", ".join(f"{name} {_limit(found, name)}" for name in LIMITS),
        namespace=namespace,
        **found.to_json(),
    )

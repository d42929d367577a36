"""`condarium publish ...`: rules that push images to other registries, and how what they send stands."""

from typing import Annotated

import typer

from condarium.cli import completion
from condarium.cli.output import Json, Output, Yes, confirm, minute
from condarium.cli.session import connect

app = typer.Typer(help="Images pushed to other registries.", no_args_is_help=True)

Namespace = Annotated[str, typer.Argument(help="The namespace", autocompletion=completion.namespaces)]
Rule = Annotated[str, typer.Argument(help="What the rule is called")]


@app.command("rules")
def list_rules(namespace: Namespace, json: Json = False) -> None:
    """Lists the rules of a namespace."""
    with connect() as client:
        rows = client.publish_rules(namespace)
    Output(json).rows(
        rows,
        {
            "name": lambda row: row.name,
            "registry": lambda row: row.registry,
            "repository": lambda row: row.repository,
            "environments": lambda row: " ".join(row.environments),
            "tags": lambda row: " ".join(row.tags),
            "referrers": lambda row: "yes" if row.referrers else "no",
            "updated (UTC)": lambda row: f"{minute(row.updated_on)} {row.updated_by}",
        },
    )


@app.command("add")
def add(
    namespace: Namespace,
    name: Rule,
    registry: Annotated[str, typer.Option(help="Its host; with http:// before it where it speaks no TLS.")],
    repository: Annotated[
        str, typer.Option(help="May have {namespace} and {environment}.")
    ] = "{namespace}/{environment}",
    environment: Annotated[
        list[str] | None, typer.Option("--environment", "-e", help="Names or patterns such as prod-*; all by default.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", "-t", help="latest, generation, key, lock, labels; the first two by default."),
    ] = None,
    referrers: Annotated[bool, typer.Option(help="Whether SBOMs, signatures and the like follow.")] = True,
    json: Json = False,
) -> None:
    """Sets a rule: images are pushed as soon as they are there, those of current builds at once. The credential is
    set by `condarium credential set --kind registry_basic`."""
    with connect() as client:
        made = client.put_publish_rule(
            namespace,
            name,
            registry=registry,
            repository=repository,
            environments=environment or ["*"],
            tags=tag,
            referrers=referrers,
        )
    Output(json).done(f"images go to {made.registry}/{made.repository}", **made.to_json())


@app.command("remove")
def remove(namespace: Namespace, name: Rule, yes: Yes = False, json: Json = False) -> None:
    """Deletes a rule; what it has sent stays in the other registry."""
    if not yes:
        confirm(f"Delete the rule {name}?")
    with connect() as client:
        client.delete_publish_rule(namespace, name)
    Output(json).done(f"rule {name} is deleted", deleted=name)


@app.command("list")
def list_publications(
    namespace: Namespace,
    rule: Annotated[str, typer.Option(help="Of this rule only.")] = "",
    state: Annotated[str, typer.Option(help="REQUESTED, MAKING, READY or FAILED only.")] = "",
    json: Json = False,
) -> None:
    """Lists what the rules send, the newest first."""
    with connect() as client:
        rows = client.publications(namespace, rule=rule, state=state.upper())
    Output(json).rows(
        rows,
        {
            "id": lambda row: str(row.id),
            "rule": lambda row: row.rule,
            "image": lambda row: f"{row.environment} g{row.generation}",
            "state": lambda row: row.state,
            "repository": lambda row: row.repository or "",
            "tags": lambda row: " ".join(row.tags),
            "pushed (UTC)": lambda row: minute(row.ready_on) if row.ready_on else "",
            "": lambda row: row.reason or (f"waits for {row.waits_for}" if row.waits_for else ""),
        },
    )


@app.command("retry")
def retry(
    namespace: Namespace,
    publication: Annotated[int, typer.Argument(help="Its id, as `publish list` shows it")],
    json: Json = False,
) -> None:
    """Pushes once more: what has failed, or what is there."""
    with connect() as client:
        client.retry_publication(namespace, publication)
    Output(json).done(f"publication {publication} is tried again", id=publication)

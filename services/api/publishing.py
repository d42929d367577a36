"""Publish rules of a namespace, and how what they send stands."""

from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy.orm import Session
from starlette.routing import Route

from condarium.database import artifacts, builds, namespaces, publication_pages, publications, publish_rules
from condarium.database.publication_pages import Listed
from condarium.database.tables import PublishRule
from condarium.domain.access import Action
from condarium.domain.artifact import ArtifactType
from condarium.domain.publishing import DEFAULT_REPOSITORY, DEFAULT_TAGS, Rule, check_rule, check_rule_name
from services.api import wire
from services.api.bodies import Model, WithoutNul
from services.api.declaration import ACK
from services.api.endpoint import Ack, Call, Gateway, quick
from services.api.replies import publishing as replies

RULES = "/api/v1/namespace/{namespace}/publishing/"
ONE = f"{RULES}{{rule}}/"
SENT = "/api/v1/namespace/{namespace}/publications/"
ONE_SENT = f"{SENT}{{publication_id}}/"

_Text = Annotated[str, Field(max_length=2048), WithoutNul]


class RuleBody(Model):
    """`registry` is a host, with http:// before it where it speaks no TLS. What is left out is as for a new rule."""

    registry: _Text
    repository: _Text = DEFAULT_REPOSITORY
    environments: Annotated[list[_Text], Field(max_length=100)] = Field(["*"])
    tags: Annotated[list[_Text], Field(max_length=20)] = Field(list(DEFAULT_TAGS))
    referrers: bool = True


class SentQuery(Model):
    """The newest first."""

    rule: Annotated[str, WithoutNul] = ""
    state: Literal["", "REQUESTED", "MAKING", "READY", "FAILED"] = ""
    limit: int = Field(100, ge=1, le=1000)


def routes(gateway: Gateway) -> list[Route]:
    rule, sent = replies.PublishRule, replies.Publication
    return [
        quick(gateway, RULES, list_rules, returns=list[rule], errors=(403,), tag="publishing"),  # type: ignore[valid-type]
        quick(gateway, ONE, put_rule, method="PUT", body=RuleBody, returns=rule, errors=(403, 409), tag="publishing"),
        quick(gateway, ONE, delete_rule, method="DELETE", returns=ACK, errors=(403,), tag="publishing"),
        quick(
            gateway,
            SENT,
            list_publications,
            query=SentQuery,
            returns=list[sent],  # type: ignore[valid-type]
            errors=(403,),
            tag="publishing",
        ),
        quick(gateway, ONE_SENT, retry_publication, method="POST", returns=ACK, errors=(403, 409), tag="publishing"),
    ]


def list_rules(session: Session, call: Call[Model, Any]) -> Any:
    """The publish rules of a namespace, by name."""
    namespace = _name(call, Action.READ_SETTING)
    return [_rule(row) for row in publish_rules.listed(session, namespaces.load(session, namespace))]


def put_rule(session: Session, call: Call[Model, RuleBody]) -> Any:
    """Sets a rule: images of environments that fit are pushed as soon as they are there, the current ones at once.

    The credential is that of the namespace, or of the deployment, whose URL is the longest prefix of the repository's.
    """
    namespace = namespaces.load(session, _name(call, Action.UPDATE_SETTING))
    body = call.body
    rule = check_rule(Rule(body.registry, body.repository, tuple(body.environments), tuple(body.tags), body.referrers))
    name = check_rule_name(call.text("rule"))
    row = publish_rules.put(session, namespace, name, rule, actor=call.caller.name)
    for build_id in publications.expect_current(session, row):
        build = builds.load(session, build_id)
        artifacts.request(session, build, ArtifactType.DOCKER_MANIFEST, actor=call.caller.name, source="api")
    call.notes.update(registry=rule.registry, repository=rule.repository)
    return _rule(row)


def delete_rule(session: Session, call: Call[Model, Any]) -> Any:
    """Deletes a rule; what it has sent stays in the other registry."""
    namespace = namespaces.load(session, _name(call, Action.UPDATE_SETTING))
    gone = publish_rules.drop(session, namespace, call.text("rule"))
    call.notes.update(registry=gone.registry_url, repository=gone.repository)
    return Ack()


def list_publications(session: Session, call: Call[SentQuery, Any]) -> Any:
    """What the rules of a namespace have sent, are sending and could not send."""
    namespace = namespaces.load(session, _name(call, Action.READ_SETTING))
    query = call.query
    rows = publication_pages.listed(session, namespace, rule=query.rule, state=query.state, limit=query.limit)
    return [_publication(row) for row in rows]


def retry_publication(session: Session, call: Call[Model, Any]) -> Any:
    """Another try of what has failed, or another push of what is there."""
    namespace = namespaces.load(session, _name(call, Action.UPDATE_SETTING))
    publications.retry(session, namespace, call.number("publication_id"))
    return Ack()


def _name(call: Call[Any, Any], action: Action) -> str:
    name = call.text("namespace")
    call.caller.require(action, name)
    return name


def _rule(row: PublishRule) -> dict[str, Any]:
    return {
        "name": row.name,
        "registry": row.registry_url,
        "repository": row.repository,
        "environments": row.environments,
        "tags": row.tags,
        "referrers": row.referrers,
        "created_on": wire.moment(row.created_on),
        "created_by": row.created_by,
        "updated_on": wire.moment(row.updated_on),
        "updated_by": row.updated_by,
    }


def _publication(found: Listed) -> dict[str, Any]:
    row = found.row
    return {
        "id": row.id,
        "rule": found.rule,
        "environment": found.environment,
        "build_id": row.build_id,
        "generation": found.generation,
        "state": row.state,
        "reason": row.reason,
        "waits_for": found.waits_for,
        "attempt": row.attempt,
        "repository": row.repository,
        "digest": f"sha256:{row.digest}" if row.digest else None,
        "tags": row.tags,
        "counts": row.counts,
        "created_on": wire.moment(row.created_on),
        "ready_on": wire.moment(row.ready_on),
    }

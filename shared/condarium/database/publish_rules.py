"""The rules of namespaces that send images to other registries."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from condarium.database.tables import Namespace, PublishRule
from condarium.domain.publishing import MOST_RULES, Rule
from condarium.errors import Conflict, NotFound


def listed(session: Session, namespace: Namespace) -> Sequence[PublishRule]:
    """By name."""
    query = select(PublishRule).where(PublishRule.namespace_id == namespace.id).order_by(PublishRule.name)
    return session.execute(query).scalars().all()


def load(session: Session, namespace: Namespace, name: str) -> PublishRule:
    """Raises NotFound."""
    row = session.execute(
        select(PublishRule).where(PublishRule.namespace_id == namespace.id, PublishRule.name == name)
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("publish rule does not exist")
    return row


def put(session: Session, namespace: Namespace, name: str, rule: Rule, *, actor: str) -> PublishRule:
    """Sets a checked rule, new or instead of what was there. Raises Conflict when there are too many."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"publish_rules/{namespace.id}"))))
    rows = {row.name: row for row in listed(session, namespace)}
    row = rows.get(name)
    if row is None and len(rows) >= MOST_RULES:
        raise Conflict(f"the namespace has {len(rows)} publish rules already, and at most {MOST_RULES} are kept")
    if row is None:
        row = PublishRule(namespace_id=namespace.id, name=name, created_by=actor)
        session.add(row)
    row.registry_url, row.repository, row.referrers = rule.registry, rule.repository, rule.referrers
    row.environments, row.tags = list(rule.environments), list(rule.tags)
    row.updated_by, row.updated_on = actor, session.execute(select(func.clock_timestamp())).scalar_one()
    session.flush()
    session.refresh(row)
    return row


def drop(session: Session, namespace: Namespace, name: str) -> PublishRule:
    """Deletes it, with what it was about to send; what it has sent stays where it is. Raises NotFound."""
    row = load(session, namespace, name)
    session.delete(row)
    session.flush()
    return row


def end(session: Session, namespace: Namespace) -> None:
    """The namespace is deleted."""
    session.execute(delete(PublishRule).where(PublishRule.namespace_id == namespace.id))


def as_rule(row: PublishRule) -> Rule:
    return Rule(row.registry_url, row.repository, tuple(row.environments), tuple(row.tags), row.referrers)

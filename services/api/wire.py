"""Rows as the JSON that conda-store's clients read. What is ours stands under the key `condarium`."""

import zlib
from datetime import UTC, datetime
from typing import Any

from condarium.database.listing_builds import Detail
from condarium.database.listing_namespaces import Usage
from condarium.database.tables import BuildArtifact, Environment, NamespaceRole, RoleMapping
from condarium.domain.artifact import ArtifactState, ArtifactType, artifact_key


def moment(value: datetime | None) -> str | None:
    """Naive UTC with microseconds: conda-store's UI appends the `Z` itself."""
    if value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def namespace(identity: int, name: str) -> dict[str, Any]:
    return {"id": identity, "name": name, "metadata_": {}, "role_mappings": []}


def role_mapping(row: RoleMapping) -> dict[str, Any]:
    return {"id": row.id, "entity": row.entity, "role": row.role}


def namespace_role(row: NamespaceRole, namespace_name: str) -> dict[str, Any]:
    """`row` with its other namespace loaded."""
    other = row.other_namespace.name
    return {"id": row.id, "namespace": namespace_name, "other_namespace": other, "role": row.role}


def environment(row: Any) -> dict[str, Any]:
    """A row of `listing_environments`, as v2 has it."""
    return {
        "id": row.id,
        "namespace": namespace(row.namespace_id, row.namespace),
        "name": row.name,
        "current_build_id": row.current_build_id,
        "description": row.description,
    }


def environment_of(found: Environment) -> dict[str, Any]:
    """An environment whose namespace is loaded, as v1 has it."""
    return {
        "id": found.id,
        "namespace": {**namespace(found.namespace.id, found.namespace.name), "metadata_": found.namespace.metadata_},
        "name": found.name,
        "current_build_id": found.current_build_id,
        "current_build": None,
        "description": found.description,
    }


def environment_v1(row: Any) -> dict[str, Any]:
    return {**environment(row), "current_build": None}


def build(row: Any) -> dict[str, Any]:
    """A row of `listing_builds`."""
    return {
        "id": row.id,
        "environment_id": row.environment_id,
        "specification": None,
        "packages": None,
        "status": row.status,
        "status_info": row.status_info,
        "size": row.size,
        "scheduled_on": moment(row.scheduled_on),
        "started_on": moment(row.started_on),
        "ended_on": moment(row.ended_on),
        "build_artifacts": None,
        "condarium": {
            "namespace": row.namespace,
            "environment": row.environment,
            "generation": row.generation,
            "key": row.key,
            "reason": row.reason,
            "cancel_requested": row.cancel_requested_at is not None,
            "deleted_on": moment(row.deleted_on),
        },
    }


def build_state(row: Any) -> dict[str, Any]:
    """What of a build changes while it is followed."""
    return {
        "build": row.id,
        "status": row.status,
        "status_info": row.status_info,
        "attempt": row.attempt,
        "started_on": moment(row.started_on),
        "ended_on": moment(row.ended_on),
        "seconds": row.timings,
    }


def build_detail(detail: Detail) -> dict[str, Any]:
    shown = build(detail.row)
    shown["specification"] = {
        "id": detail.specification.id,
        "name": detail.specification.name,
        "spec": detail.specification.spec,
        "sha256": detail.specification.sha256,
        "created_on": moment(detail.specification.created_on),
    }
    ready = [item for item in detail.artifacts if item.state == ArtifactState.READY]
    # The image last: the UI stops asking for artifacts once it has seen it.
    ready.sort(key=lambda item: (item.artifact_type == ArtifactType.DOCKER_MANIFEST, item.id))
    shown["build_artifacts"] = [
        {
            "id": item.id,
            "artifact_type": item.artifact_type,
            "key": item.key or artifact_key(ArtifactType(item.artifact_type), detail.row.key),
        }
        for item in ready
    ]
    shown["condarium"] |= {
        "prefix": detail.prefix,
        "locks": dict(detail.locks),
        "seconds": detail.row.timings,
        "artifacts": [artifact(item) for item in detail.artifacts],
    }
    return shown


def artifact(item: BuildArtifact) -> dict[str, Any]:
    """An artifact that was asked for, ready or not."""
    return {
        "id": item.id,
        "artifact_type": item.artifact_type,
        "state": item.state,
        "reason": item.reason,
        "attempt": item.attempt,
        "digest": item.digest,
        "size": item.size,
        "ready_on": moment(item.ready_on),
    }


def package(row: Any) -> dict[str, Any]:
    """A row of `listing_packages`."""
    # Channels have no rows of their own: their ids need only be the same in every reply.
    channel = {"id": zlib.crc32(row.channel.encode()), "name": row.channel, "last_update": None}
    return {
        "id": row.id,
        "channel": channel,
        "license": row.license,
        "name": row.name,
        "version": row.version,
        "summary": None,
        "condarium": {"kind": row.kind, "build": row.build, "size": row.size},
    }


def usage(row: Usage) -> dict[str, int]:
    return {"num_environments": row.environments, "num_builds": row.builds, "storage": row.storage}

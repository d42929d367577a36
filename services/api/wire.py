"""Rows as the JSON that conda-store's clients read. What is ours stands under the key `condarium`."""

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from condarium.database.json_text import Column, Shape, as_dict
from condarium.database.json_text import moment as moment
from condarium.database.listing_builds import Detail
from condarium.database.tables import BuildArtifact, Environment, NamespaceRole, RoleMapping
from condarium.domain.artifact import ArtifactState, ArtifactType, artifact_key

#: in lists
NAMESPACE = Shape({"id": Column("id"), "name": Column("name")})
_OF_NAMESPACE = {"id": Column("namespace_id"), "name": Column("namespace"), "metadata_": {}, "role_mappings": []}
#: in lists, as v2 has it
ENVIRONMENT = Shape(
    {
        "id": Column("id"),
        "namespace": _OF_NAMESPACE,
        "name": Column("name"),
        "current_build_id": Column("current_build_id"),
        "description": Column("description"),
    }
)
ENVIRONMENT_V1 = Shape({**ENVIRONMENT.parts, "current_build": None})
BUILD = Shape(
    {
        "id": Column("id"),
        "environment_id": Column("environment_id"),
        "specification": None,
        "packages": None,
        "status": Column("status"),
        "status_info": Column("status_info"),
        "size": Column("size"),
        "scheduled_on": Column("scheduled_on"),
        "started_on": Column("started_on"),
        "ended_on": Column("ended_on"),
        "build_artifacts": None,
        "condarium": {
            "namespace": Column("namespace"),
            "environment": Column("environment"),
            "generation": Column("generation"),
            "key": Column("key"),
            "reason": Column("reason"),
            "cancel_requested": Column("cancel_requested"),
            "deleted_on": Column("deleted_on"),
        },
    }
)


def namespace(identity: int, name: str) -> dict[str, Any]:
    return {"id": identity, "name": name, "metadata_": {}, "role_mappings": []}


def role_mapping(row: RoleMapping) -> dict[str, Any]:
    return {"id": row.id, "entity": row.entity, "role": row.role}


def namespace_role(row: NamespaceRole, namespace_name: str) -> dict[str, Any]:
    """`row` with its other namespace loaded."""
    other = row.other_namespace.name
    return {"id": row.id, "namespace": namespace_name, "other_namespace": other, "role": row.role}


def environment_of(found: Environment, shown_build: int | None) -> dict[str, Any]:
    """An environment whose namespace is loaded, as v1 has it."""
    return {
        "id": found.id,
        "namespace": {**namespace(found.namespace.id, found.namespace.name), "metadata_": found.namespace.metadata_},
        "name": found.name,
        "current_build_id": shown_build,
        "current_build": None,
        "description": found.description,
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
    shown = as_dict(BUILD, detail.row)
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
        "labels": dict(detail.labels),
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


def channel_id(url: str) -> int:
    """Channels that are not indexed have no rows: ids only need to be the same in every reply."""
    return zlib.crc32(url.encode())


def channel(url: str, updated: Mapping[str, datetime | None]) -> dict[str, Any]:
    """The channel of a package; `updated` as `channels.updated` gives it."""
    return {"id": channel_id(url), "name": url, "last_update": moment(updated.get(url))}


def package(row: Any, updated: Mapping[str, datetime | None]) -> dict[str, Any]:
    """A row of `packages`."""
    return {
        "id": row.id,
        "channel": channel(row.channel, updated),
        "license": row.license,
        "name": row.name,
        "version": row.version,
        "summary": row.summary,
    }


def build_package(row: Any, updated: Mapping[str, datetime | None]) -> dict[str, Any]:
    """A row of `listing_packages`."""
    return package(row, updated) | {"condarium": {"kind": row.kind, "build": row.build, "size": row.size}}

"""Which build NAMESPACE/NAME:REFERENCE means; the same words as tags of images."""

from collections.abc import Iterator
from itertools import islice

from condarium.cli.session import current_build, find_environment, load_build, split_environment
from condarium.client import Client, NotThere
from condarium.client.models import Build, BuildRow
from condarium.domain.labels import may_be
from condarium.errors import InvalidInput

#: builds that are looked through for a hash or a key
LOOKED_AT = 500


def split(text: str) -> tuple[str, str, str]:
    """(namespace, name, reference). Raises InvalidInput."""
    place, _, reference = text.partition(":")
    return (*split_environment(place), reference)


def resolve(client: Client, text: str) -> Build:
    """The build that is meant: a number alone, or an environment with `:latest` (also without), `:g3`, `:42` (a
    build's number), `:git=3f2a1c9` or `:git-3f2a1c9` (a label), a build's key, or the hash of a lock or specification.

    Raises NotThere, InvalidInput.
    """
    if text.isdecimal():
        return load_build(client, int(text))
    namespace, name, reference = split(text)
    if reference in ("", "latest"):
        return load_build(client, current_build(client, namespace, name))
    find_environment(client, namespace, name)
    found = _find(client, namespace, name, reference)
    if found is None:
        raise NotThere(
            f"{namespace}/{name} has no completed build {reference!r}; "
            f"`condarium build list {namespace}/{name}` shows its builds",
            404,
        )
    if found.status != "COMPLETED":
        raise InvalidInput(f"build {found.id} of {namespace}/{name} is {found.status}")
    return found


def _find(client: Client, namespace: str, name: str, reference: str) -> Build | None:
    if reference.isdecimal():
        build = load_build(client, int(reference))
        return build if (build.condarium.namespace, build.condarium.environment) == (namespace, name) else None
    row = _by_label(client, namespace, name, reference) if "=" in reference else None
    if reference[:1] == "g" and reference[1:].isdecimal():
        row = row or _first(
            row for row in _builds(client, namespace, name) if row.condarium.generation == int(reference[1:])
        )
    row = row or _first(row for row in _builds(client, namespace, name) if row.condarium.key == reference)
    if row is None and len(reference) == 64:
        for each in _builds(client, namespace, name):
            build = client.build(each.id)
            if reference in (build.specification.sha256, *build.condarium.locks.values()):
                return build
    for key, value in may_be(reference) if row is None else ():
        row = row or _by_label(client, namespace, name, f"{key}={value}")
    return client.build(row.id) if row is not None else None


def _by_label(client: Client, namespace: str, name: str, label: str) -> BuildRow | None:
    found = client.builds(namespace=namespace, name=name, status="COMPLETED", label=[label])
    return _first(row for row in found if row.condarium.deleted_on is None)


def _builds(client: Client, namespace: str, name: str) -> Iterator[BuildRow]:
    found = client.builds(namespace=namespace, name=name, status="COMPLETED")
    return (row for row in islice(found, LOOKED_AT) if row.condarium.deleted_on is None)


def _first(rows: Iterator[BuildRow]) -> BuildRow | None:
    return next(rows, None)

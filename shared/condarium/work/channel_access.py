"""The credentials that one piece of work needs: looked up when it starts, for the URLs that it will read, no others."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from condarium.conda.channels import ChannelSettings
from condarium.database import credentials
from condarium.database.credentials import Opened
from condarium.domain.credential import Kind, Use, covers
from condarium.domain.lock import Lock
from condarium.domain.sealing import Vault
from condarium.domain.specification.channels import channel_of
from condarium.errors import InputFault, Unavailable, WorldFault


def for_specification(
    session: Session,
    vault: Vault,
    given: ChannelSettings,
    *,
    namespace: str,
    channels: Iterable[str],
    dependencies: Iterable[str] = (),
    index_url: str | None = None,
    wheels: Iterable[str] = (),
) -> ChannelSettings:
    """`given` with what a solve needs: of `channels`, those named in `dependencies`, the package index, and `wheels`.

    Raises WorldFault for a credential that cannot be decrypted, naming it.
    """
    named = (channel_of(text) for text in dependencies)
    places = _places_of_channels(given, [*channels, *(name for name in named if name)])
    index = _bare(index_url)
    return _chosen(
        session, vault, given, namespace, places, [*([index] if index else []), *map(str, map(_bare, wheels))]
    )


def for_locks(
    session: Session, vault: Vault, given: ChannelSettings, *, namespace: str, locks: Iterable[Lock]
) -> ChannelSettings:
    """`given` with what the packages and wheels of `locks` need. Raises as `for_specification`."""
    every = list(locks)
    packages = {place for lock in every for record in lock.conda for place in given.package_places(record.url)}
    wheels = {place for lock in every for wheel in lock.pypi for place in given.package_places(wheel.url)}
    return _chosen(session, vault, given, namespace, packages, wheels)


def _places_of_channels(given: ChannelSettings, names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        try:
            found += [place for url in given.resolve([name]) for place in given.places(url)]
        except InputFault:
            continue  # whoever reads it says why it cannot be a channel
    return found


def _bare(index_url: str | None) -> str | None:
    if not index_url:
        return None
    parts = urlsplit(index_url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _chosen(
    session: Session,
    vault: Vault,
    given: ChannelSettings,
    namespace: str,
    channels: Iterable[str],
    indexes: Iterable[str],
) -> ChannelSettings:
    of_channels, of_indexes = list(channels), list(indexes)

    def near(prefix: str, places: Iterable[str]) -> bool:
        # A credential may also be for a part of a channel only.
        return any(covers(prefix, place) or covers(place, prefix) for place in places)

    def needed(kind: Kind, prefix: str) -> bool:
        match kind.use:
            case Use.CHANNEL:
                return near(prefix, [*of_channels, *of_indexes])
            case Use.INDEX:
                return near(prefix, of_indexes)
            case _:
                return False

    try:
        opened = credentials.opened(session, vault, namespace, needed)
    except Unavailable as error:
        raise WorldFault(str(error)) from None
    kept = {
        prefix: value
        for prefix, value in given.credentials.items()
        if near(_bare(prefix) or prefix, [*of_channels, *of_indexes])
    }
    for_channels = {each.url: each.shown for each in opened if each.kind.use is Use.CHANNEL}
    for_indexes = {each.url: each.shown for each in opened if each.kind.use is Use.INDEX}
    merged = {**_without(kept, for_channels), **for_channels}
    return replace(
        given,
        mirrors={
            name: urls
            for name, urls in given.mirrors.items()
            if all(_bare(url) == url or near(str(_bare(url)), [*of_channels, *of_indexes]) for url in urls)
        },
        credentials=merged,
        index_credentials={
            **{prefix: value for prefix, value in given.index_credentials.items() if near(prefix, of_indexes)},
            **for_indexes,
        },
        named={**given.named, **{each.url: each.called for each in opened}},
        private={each.url: _fingerprint(vault, each) for each in opened if each.namespace},
        scope=_scope(vault, merged),
        index_scope=_scope(vault, {**merged, **for_indexes}) if of_indexes else "",
    )


def _without(kept: Mapping[str, Mapping[str, str]], better: Mapping[str, object]) -> dict[str, Mapping[str, str]]:
    """Settings may spell a URL with a slash at the end: one for the same URL takes their place."""
    return {prefix: value for prefix, value in kept.items() if prefix.rstrip("/") not in better}


def _fingerprint(vault: Vault, opened: Opened) -> str:
    return vault.fingerprint(opened.url, json.dumps(opened.shown, sort_keys=True))


def _scope(vault: Vault, table: Mapping[str, Mapping[str, str]]) -> str:
    if not table:
        return ""
    return vault.fingerprint(json.dumps({prefix: dict(value) for prefix, value in table.items()}, sort_keys=True))

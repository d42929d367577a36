"""Channels: from what a specification calls them to where their bytes are. Pure: no I/O.

Three addresses are kept apart. The *name* is what people write (`conda-forge`). The *canonical URL* stands for the
channel in locks and conda-meta. The *locations* are where bytes are read from: mirrors, or the channel itself.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from condarium.domain.credentials import has_credential
from condarium.errors import InputFault

DEFAULT_ALIAS = "https://conda.anaconda.org"
_SCHEMES = ("http", "https", "file")


@dataclass(frozen=True)
class ChannelSettings:
    """What the administrator set; none of it is part of a specification.

    `mirrors`: channel name or URL -> locations, tried in order. Under the key `defaults` stand the channels that
    the name `defaults` means. `labels`: channel -> what its mirror is called in messages. `credentials`: URL prefix
    -> {"username", "password"}, {"token"} (sent as Bearer) or {"conda_token"} (put into the path as /t/TOKEN/).
    """

    alias: str = DEFAULT_ALIAS
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ChannelSettings":
        return cls(
            alias=data.get("alias") or DEFAULT_ALIAS,
            mirrors={str(name): tuple(urls) for name, urls in (data.get("mirrors") or {}).items()},
            labels=dict(data.get("labels") or {}),
            credentials={str(prefix): dict(value) for prefix, value in (data.get("credentials") or {}).items()},
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "alias": self.alias,
            "mirrors": {name: list(urls) for name, urls in self.mirrors.items()},
            "labels": dict(self.labels),
            "credentials": {prefix: dict(value) for prefix, value in self.credentials.items()},
        }

    def resolve(self, names: Iterable[str]) -> tuple[str, ...]:
        """The canonical URLs of `names`, in order, each once; `nodefaults` is dropped.

        Raises:
            InputFault: reason `no-such-channel`, for a name that cannot be a channel here.
        """
        urls: list[str] = []
        for name in names:
            for url in self._expand(name.strip()):
                if url not in urls:
                    urls.append(url)
        return tuple(urls)

    def canonical(self, name: str) -> str:
        """The canonical URL of one channel, without trailing slash; raises InputFault as `resolve` does."""
        text = name.strip().rstrip("/")
        if has_credential(text):
            raise _refused(
                name="the channel", why="its URL carries a credential; put it into CONDARIUM_CHANNEL_CREDENTIALS"
            )
        scheme = urlsplit(text).scheme
        if "://" not in text:
            if not text or text.startswith((".", "/", "~")) or "\\" in text:
                raise _refused(f"the channel {name!r}", "a directory is named by a file:// URL")
            return f"{self.alias.rstrip('/')}/{text}"
        if scheme not in _SCHEMES:
            raise _refused(f"the channel {name!r}", f"{scheme}:// is not supported; use http, https or file")
        return text

    def _expand(self, name: str) -> tuple[str, ...]:
        if name == "nodefaults":
            return ()
        if name != "defaults":
            return (self.canonical(name),)
        meant = self.mirrors.get("defaults")
        if not meant:
            raise _refused(
                "the channel 'defaults'",
                "it stands for several channels of Anaconda with terms of use of their own; name a channel such as "
                'conda-forge, or let the administrator map it: CONDARIUM_CHANNEL_MIRRORS={"defaults": [...]}',
            )
        return tuple(self.canonical(url) for url in meant)

    @cached_property
    def _mirrors_by_url(self) -> dict[str, tuple[str, ...]]:
        return {self.canonical(name): urls for name, urls in self.mirrors.items() if name != "defaults" and urls}

    def is_mirrored(self, url: str) -> bool:
        return url in self._mirrors_by_url

    def locations(self, url: str) -> tuple[str, ...]:
        """Where the channel with the canonical `url` is read from, in order; no trailing slash, no user part."""
        places = self._mirrors_by_url.get(url, (url,))
        return tuple(self._with_conda_token(_without_user(place.rstrip("/"))) for place in places)

    def package_urls(self, url: str) -> tuple[str, ...]:
        """Where the package (or wheel) with the canonical `url` is read from, in order."""
        covering = [channel for channel in self._mirrors_by_url if _covers(channel, url)]
        if not covering:
            return (self._with_conda_token(url),)
        channel = max(covering, key=len)
        return tuple(join(place, url.removeprefix(channel)) for place in self.locations(channel))

    def with_index(self, index_url: str | None) -> "ChannelSettings":
        """These settings, and the credential in the URL of the package index for everything on its host."""
        user = _user_of(index_url) if index_url else None
        if not index_url or not user:
            return self
        parts = urlsplit(_without_user(index_url))
        origin = f"{parts.scheme}://{parts.netloc}"
        return replace(self, credentials={origin: {"username": user[0], "password": user[1]}, **self.credentials})

    def label(self, url: str) -> str:
        """What the mirror of `url` is called in messages; without secrets."""
        for name, label in self.labels.items():
            if self.canonical(name) == url:
                return label
        return ", ".join(_without_user(place) for place in self._mirrors_by_url.get(url, ()))

    def mirror_sentence(self, urls: Iterable[str]) -> str:
        """`conda-forge is mirrored by the sample channel.`, for each mirrored channel; empty without mirrors."""
        parts = [f"{self.short_name(url)} is mirrored by {self.label(url)}." for url in urls if self.is_mirrored(url)]
        return " ".join(parts)

    def short_name(self, url: str) -> str:
        """`conda-forge` for the channel of that name under the alias, else the URL."""
        alias = self.alias.rstrip("/") + "/"
        return url.removeprefix(alias)

    def headers(self, location: str) -> dict[str, str]:
        """The HTTP headers that reading from `location` needs; empty for most. Raises nothing."""
        for place in (place for urls in self.mirrors.values() for place in urls):
            user = _user_of(place)
            if user and _covers(_without_user(place), location):
                return _basic(*user)
        found = self._credential(location)
        if "token" in found:
            return {"Authorization": f"Bearer {found['token']}"}
        if "username" in found or "password" in found:
            return _basic(found.get("username", ""), found.get("password", ""))
        return {}

    def secrets(self) -> tuple[str, ...]:
        """Every literal that must not leave."""
        found = [value for item in self.credentials.values() for key, value in item.items() if key != "username"]
        pairs = [
            (item.get("username", ""), item["password"]) for item in self.credentials.values() if "password" in item
        ]
        places = [*self.credentials, *(place for urls in self.mirrors.values() for place in urls)]
        pairs += [user for place in places if (user := _user_of(place))]
        for username, password in pairs:
            # A token is often given as the user, without a password.
            found += [password or username, _basic(username, password)["Authorization"].split()[1]]
        return tuple(secret for secret in found if secret)

    def _credential(self, location: str) -> Mapping[str, str]:
        """That of the longest URL prefix that covers `location`."""
        prefixes = [prefix for prefix in self.credentials if _covers(_without_user(prefix), location)]
        return self.credentials[max(prefixes, key=len)] if prefixes else {}

    def _with_conda_token(self, location: str) -> str:
        token = self._credential(location).get("conda_token")
        if not token:
            return location
        parts = urlsplit(location)
        return urlunsplit(parts._replace(path=f"/t/{token}{parts.path}"))


def directory_of(location: str) -> Path | None:
    """The directory or file that a file:// URL names; None for another URL."""
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def join(location: str, rest: str) -> str:
    return f"{location.rstrip('/')}/{rest.lstrip('/')}"


def _refused(name: str, why: str) -> InputFault:
    return InputFault(f"Cannot use {name}: {why}.", reason="no-such-channel")


def _covers(prefix: str, location: str) -> bool:
    """Whether `prefix` is `location` or a whole path above it; scheme, host and port must be the same."""
    prefix = prefix.rstrip("/")
    return location == prefix or location.startswith(prefix + "/")


def _user_of(url: str) -> tuple[str, str] | None:
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}

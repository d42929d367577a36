"""Channels: from what a specification calls them to where their bytes are. Pure: no I/O.

Three addresses are kept apart. The *name* is what people write (`conda-forge`). The *canonical URL* stands for the
channel in locks and conda-meta. The *locations* are where bytes are read from: mirrors, or the channel itself.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from condarium.domain.credential import covers
from condarium.domain.credentials import has_credential
from condarium.errors import InputFault

DEFAULT_ALIAS = "https://conda.anaconda.org"
_SCHEMES = ("http", "https", "file")
_WHEEL = ".whl"
_TOKEN = re.compile(r"^/t/[^/]+")


@dataclass(frozen=True)
class ChannelSettings:
    """What the administrator set; none of it is part of a specification.

    `mirrors`: channel name or URL -> locations, tried in order. Under the key `defaults` stand the channels that
    the name `defaults` means. `labels`: channel -> what its mirror is called in messages. `credentials`: URL prefix
    -> {"username", "password"}, {"token"} (sent as Bearer) or {"conda_token"} (put into the path as /t/TOKEN/).
    `index_credentials`: the same for package indexes and wheels, which take those of channels where there is no
    better one. `named`: URL prefix -> which credential that is, for messages. `private`: those of them that are a
    namespace's own -> their fingerprint. `scope` and `index_scope` keep apart what was read of channels and indexes
    with one set of credentials from what was read with another; empty without credentials.
    """

    alias: str = DEFAULT_ALIAS
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    index_credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict)
    scope: str = ""
    index_scope: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ChannelSettings":
        return cls(
            alias=data.get("alias") or DEFAULT_ALIAS,
            mirrors={str(name): tuple(urls) for name, urls in (data.get("mirrors") or {}).items()},
            labels=dict(data.get("labels") or {}),
            credentials=_table(data.get("credentials")),
            index_credentials=_table(data.get("index_credentials")),
            named=dict(data.get("named") or {}),
            private=dict(data.get("private") or {}),
            scope=str(data.get("scope") or ""),
            index_scope=str(data.get("index_scope") or ""),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "alias": self.alias,
            "mirrors": {name: list(urls) for name, urls in self.mirrors.items()},
            "labels": dict(self.labels),
            "credentials": _table(self.credentials),
            "index_credentials": _table(self.index_credentials),
            "named": dict(self.named),
            "private": dict(self.private),
            "scope": self.scope,
            "index_scope": self.index_scope,
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

    def places(self, url: str) -> tuple[str, ...]:
        """Where the channel with the canonical `url` is read from, in order, without any credential."""
        return tuple(_without_user(place.rstrip("/")) for place in self._mirrors_by_url.get(url, (url,)))

    def locations(self, url: str) -> tuple[str, ...]:
        """As `places`, with the tokens that stand in paths; no trailing slash, no user part."""
        return tuple(self._with_conda_token(place) for place in self.places(url))

    def package_places(self, url: str) -> tuple[str, ...]:
        """Where the package (or wheel) with the canonical `url` is read from, in order, without any credential."""
        covering = [channel for channel in self._mirrors_by_url if covers(channel, url)]
        if not covering:
            return (_without_user(url),)
        channel = max(covering, key=len)
        return tuple(join(place, url.removeprefix(channel)) for place in self.places(channel))

    def package_urls(self, url: str) -> tuple[str, ...]:
        """As `package_places`, with the tokens that stand in paths."""
        return tuple(self._with_conda_token(place) for place in self.package_places(url))

    def with_index(self, index_url: str | None) -> "ChannelSettings":
        """These settings, and the credential in the URL of the package index for everything on its host."""
        user = _user_of(index_url) if index_url else None
        if not index_url or not user:
            return self
        parts = urlsplit(_without_user(index_url))
        origin = f"{parts.scheme}://{parts.netloc}"
        own = {"username": user[0], "password": user[1]}
        return replace(
            self,
            index_credentials={origin: own, **self.index_credentials},
            named={origin: "the user in CONDARIUM_PIP_INDEX_URL", **self.named},
        )

    def index_url(self, index_url: str | None) -> str | None:
        """The URL of the package index with the credential that it needs, for uv's environment."""
        if not index_url:
            return None
        bare = _without_user(index_url)
        _, found = self._credential(bare, index=True)
        if "username" not in found and "password" not in found:
            return index_url
        parts = urlsplit(bare)
        user = f"{quote(found.get('username', ''), safe='')}:{quote(found.get('password', ''), safe='')}"
        return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc}"))

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
        user = self._mirror_user(location)
        if user:
            return _basic(*user)
        _, found = self._credential(location, index=location.endswith(_WHEEL))
        if "token" in found:
            return {"Authorization": f"Bearer {found['token']}"}
        if "username" in found or "password" in found:
            return _basic(found.get("username", ""), found.get("password", ""))
        return {}

    def refusal(self, location: str, *, index: bool = False) -> str:
        """A sentence: which credential a server that refused `location` was shown, or where one is set."""
        if self._mirror_user(location):
            return "It was shown the user that CONDARIUM_CHANNEL_MIRRORS holds."
        prefix, found = self._credential(_plain(location), index=index or location.endswith(_WHEEL))
        if found:
            named = self.named.get(prefix, f"what CONDARIUM_CHANNEL_CREDENTIALS holds for {_without_user(prefix)}")
            return f"It was shown {named}."
        settings = "CONDARIUM_PIP_INDEX_URL" if index else "CONDARIUM_CHANNEL_CREDENTIALS"
        return (
            "No credential is set for it: /api/v1/credential/ takes those of a namespace or of the deployment, and "
            f"{settings} holds the deployment's, too."
        )

    def scope_of(self, url: str) -> str:
        """Whose right it takes to read the package or wheel with the canonical `url`: the fingerprint of a namespace's
        own credential, empty where the whole deployment has the right."""
        for place in self.package_places(url):
            prefix, found = self._credential(place, index=place.endswith(_WHEEL))
            if found and prefix in self.private:
                return self.private[prefix]
        return ""

    def secrets(self) -> tuple[str, ...]:
        """Every literal that must not leave."""
        items = [*self.credentials.values(), *self.index_credentials.values()]
        found = [value for item in items for key, value in item.items() if key != "username"]
        pairs = [(item.get("username", ""), item["password"]) for item in items if "password" in item]
        places = [
            *self.credentials,
            *self.index_credentials,
            *(place for urls in self.mirrors.values() for place in urls),
        ]
        pairs += [user for place in places if (user := _user_of(place))]
        for username, password in pairs:
            # A token is often given as the user, without a password.
            found += [password or username, _basic(username, password)["Authorization"].split()[1]]
        return tuple(secret for secret in found if secret)

    def _mirror_user(self, location: str) -> tuple[str, str] | None:
        for place in (place for urls in self.mirrors.values() for place in urls):
            user = _user_of(place)
            if user and covers(_without_user(place), location):
                return user
        return None

    def _credential(self, location: str, *, index: bool = False) -> tuple[str, Mapping[str, str]]:
        """That of the longest URL prefix that covers `location`, and the prefix; empty without one."""
        found: list[tuple[int, int, str, Mapping[str, str]]] = []
        for rank, table in enumerate((self.credentials, self.index_credentials if index else {})):
            for prefix, value in table.items():
                bare = _without_user(prefix).rstrip("/")
                if covers(bare, location):
                    found.append((len(bare), rank, prefix, value))
        _, _, prefix, value = max(found, key=lambda each: each[:2], default=(0, 0, "", {}))
        return prefix, value

    def _with_conda_token(self, location: str) -> str:
        _, found = self._credential(location)
        token = found.get("conda_token")
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


def _table(data: Mapping[str, Mapping[str, str]] | None) -> dict[str, dict[str, str]]:
    return {str(prefix): dict(value) for prefix, value in (data or {}).items()}


def _plain(location: str) -> str:
    """Without the token that stands in the path."""
    parts = urlsplit(location)
    return urlunsplit(parts._replace(path=_TOKEN.sub("", parts.path)))


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

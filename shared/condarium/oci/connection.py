"""Requests to another registry: with a token of its token server, Basic, or as a stranger; errors in sentences."""

import base64
import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from condarium.domain.credential import RegistryLogin
from condarium.errors import ConfigError, InputFault, WorldFault
from condarium.oci.challenge import Challenge, parse_challenges

#: bytes, or a function that gives them anew each time: a request is sent twice when it needs a token
Content = bytes | Callable[[], Iterable[bytes]] | None

_TOKEN_BYTES = 1 << 20
_SHORTEST_SECONDS = 60
#: of what a registry may ask its clients to wait
_LONGEST_WAIT_SECONDS = 86_400.0
#: a token is not used in its last seconds
_MARGIN_SECONDS = 10


@dataclass(frozen=True)
class Network:
    """How the world is reached: `proxy` by scheme (http, https), hosts `direct` without one, and who is trusted.

    Empty: as the environment of the process says (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).
    """

    proxies: Mapping[str, str] | None = None
    direct: tuple[str, ...] = ()
    ca_bundle: Path | None = None
    timeout_seconds: float = 60.0

    def client(self) -> httpx.Client:
        """Raises ConfigError for a bundle or a proxy that cannot be used."""
        try:
            trusted = ssl.create_default_context(cafile=str(self.ca_bundle)) if self.ca_bundle else True
            mounts: dict[str, httpx.BaseTransport | None] = {}
            for scheme, proxy in (self.proxies or {}).items():
                mounts[f"{scheme}://"] = httpx.HTTPTransport(verify=trusted, proxy=proxy)
            mounts |= {f"all://{host}": httpx.HTTPTransport(verify=trusted) for host in self.direct}
            return httpx.Client(
                verify=trusted,
                mounts=mounts,
                timeout=self.timeout_seconds,
                follow_redirects=True,
                headers={"user-agent": "condarium"},
            )
        except (OSError, ValueError, httpx.InvalidURL) as error:
            raise ConfigError(f"registries cannot be reached with these settings: {error}") from error


class Connection:
    """To the registry at `url` (scheme and host); for one thread. `login` is shown to it and its token server only."""

    def __init__(self, url: str, *, login: RegistryLogin | None = None, network: Network | None = None) -> None:
        self.url = url.rstrip("/")
        self._login = login
        self._http = (network or Network()).client()
        self._shown: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        expected: Iterable[int] = (200,),
        limit: int = 8 << 20,
    ) -> httpx.Response:
        """The reply, read whole up to `limit` bytes; `path` from `/v2/` on, or an address that the registry gave.

        `scope` is what a token must allow, such as `repository:team/image:pull,push`; several with spaces between.
        Raises as `stream`.
        """
        with self.stream(method, path, scope=scope, headers=headers, content=content, expected=expected) as reply:
            read = bytearray()
            with self._told(path):
                for chunk in reply.iter_bytes():
                    read += chunk
                    if len(read) > limit:
                        raise WorldFault(f"{self.url} answers {path} with more than {limit} bytes")
            kept = {name: value for name, value in reply.headers.items() if name != "content-encoding"}
            return httpx.Response(reply.status_code, headers=kept, content=bytes(read), request=reply.request)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        expected: Iterable[int] = (200,),
    ) -> Iterator[httpx.Response]:
        """The reply with its body unread.

        Raises:
            WorldFault: not reachable, too many requests, or 5xx; with `retry_after` where the registry says so.
            InputFault: any other status that is not `expected`; `reason` registry-refused, no-such-image or
                registry-error, and the registry's own words.
        """
        address = self._address(path)
        reply = self._send(method, address, scope, headers, content)
        try:
            # whoever else a redirect or an upload's address leads to is told nothing, and names no token server
            if reply.status_code == 401 and _is_theirs(str(reply.url), self.url) and self._answer(reply, scope):
                reply.close()
                reply = self._send(method, address, scope, headers, content)
            if reply.status_code not in tuple(expected):
                raise self._fault(method, path, reply)
            yield reply
        finally:
            reply.close()

    def _address(self, path: str) -> str:
        if path.startswith("/"):
            return self.url + path
        theirs, ours = urlsplit(path), urlsplit(self.url)
        if theirs.scheme not in ("http", "https") or (ours.scheme == "https" and theirs.scheme != "https"):
            raise WorldFault(f"{self.url} sends its clients to {path[:100]!r}, which is not followed")
        return path

    def _send(
        self, method: str, address: str, scope: str, headers: Mapping[str, str] | None, content: Content
    ) -> httpx.Response:
        sent = dict(headers or {})
        shown = self._shown.get(scope)
        if shown and shown[1] > time.monotonic() and _same_origin(address, self.url):
            sent["authorization"] = shown[0]
        body = content() if callable(content) else content
        with self._told(address):
            request = self._http.build_request(method, address, headers=sent, content=body)
            return self._http.send(request, stream=True)

    @contextmanager
    def _told(self, place: str) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            if "WRONG_VERSION_NUMBER" in said:
                said += "; it speaks no TLS on that port: write http:// before its name"
            raise WorldFault(f"the registry {self.url} does not answer for {_plain(place)}: {said}") from error

    # -- logging in ----------------------------------------------------------------------------------------------

    def _answer(self, reply: httpx.Response, scope: str) -> bool:
        """Whether there is something (else) to show; it is sent with the next request of that scope."""
        before = self._shown.pop(scope, None)
        challenges = {each.scheme: each for each in parse_challenges(reply.headers.get_list("www-authenticate"))}
        login = self._login
        if login is not None and not login.username:
            shown = f"Bearer {login.password}"
            if before is None:
                self._shown[scope] = shown, float("inf")
            return before is None
        if "bearer" in challenges:
            self._shown[scope] = self._token(challenges["bearer"], scope)
            return True
        if "basic" in challenges and login is not None and before is None:
            self._shown[scope] = _basic(login), float("inf")
            return True
        return False

    def _token(self, challenge: Challenge, scope: str) -> tuple[str, float]:
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise WorldFault(f"the registry {self.url} names {realm[:100]!r} as its token server, which is no address")
        # a password that came for https is not sent in the clear
        secret = parts.scheme == "https" or self.url.startswith("http://")
        query: dict[str, str | list[str]] = {"scope": scope.split()}
        if challenge.parameters.get("service"):
            query["service"] = challenge.parameters["service"]
        headers = {"authorization": _basic(self._login)} if self._login and secret else {}
        with (
            self._told(realm),
            self._http.stream("GET", httpx.URL(realm).copy_merge_params(query), headers=headers) as reply,
        ):
            if reply.status_code != 200:
                raise self._fault("GET", realm, reply)
            read = bytearray()
            for chunk in reply.iter_bytes():
                read += chunk
                if len(read) > _TOKEN_BYTES:
                    break
        return _read_token(bytes(read), realm)

    def _fault(self, method: str, path: str, reply: httpx.Response) -> WorldFault | InputFault:
        status = reply.status_code
        said = f"the registry {self.url} answers {method} {_plain(path)} with {status}{_words(reply)}"
        if status == 429 or status >= 500:
            after = reply.headers.get("retry-after", "")
            return WorldFault(said, retry_after=min(float(after), _LONGEST_WAIT_SECONDS) if after.isdecimal() else None)
        if status in (401, 403):
            with_what = "with the credential that is kept for it" if self._login else "and no credential is kept for it"
            return InputFault(f"{said}; it was asked {with_what}", reason="registry-refused")
        return InputFault(said, reason="no-such-image" if status == 404 else "registry-error")


def _same_origin(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)


def _is_theirs(address: str, url: str) -> bool:
    """Whether it is the registry itself that has answered; perhaps it sends everybody from http to https."""
    found, registry = urlsplit(address), urlsplit(url)
    upgraded = (registry.scheme, registry.port or 80, found.scheme, found.port or 443) == ("http", 80, "https", 443)
    return _same_origin(address, url) or (upgraded and found.hostname == registry.hostname)


def _plain(place: str) -> str:
    """Without a query: signed addresses have secrets there."""
    return place.partition("?")[0][:200]


def _basic(login: RegistryLogin) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _read_token(body: bytes, realm: str) -> tuple[str, float]:
    try:
        answer: Any = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
        lifetime = max(_SHORTEST_SECONDS, int(answer.get("expires_in") or 0))
    except (ValueError, AttributeError, TypeError):
        token = None
    if not isinstance(token, str) or not token or not token.isprintable():
        raise WorldFault(f"the token server {_plain(realm)} answers with no token")
    return f"Bearer {token}", time.monotonic() + lifetime - _MARGIN_SECONDS


def _words(reply: httpx.Response) -> str:
    """The registry's own explanation, where there is one that can be shown."""
    try:
        head = b""
        for chunk in reply.iter_bytes():
            head += chunk
            if len(head) > 65536:
                return ""
        errors = json.loads(head)["errors"]
        texts = [f"{each.get('code', '')} {each.get('message', '')}".strip() for each in errors]
    except (httpx.HTTPError, httpx.StreamError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f": {'; '.join(texts)[:500]}" if any(texts) else ""

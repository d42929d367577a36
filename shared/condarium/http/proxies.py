"""Who a request comes from when proxies stand in front: what they say is believed of trusted addresses only."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from condarium.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]+)\s*\Z')
#: what a Host header may hold; anything else could end up in an address that we send people to
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")


#: where a scope keeps the host that a trusted proxy said
_FORWARDED_HOST = "condarium.forwarded_host"


def forwarded_host(connection: HTTPConnection) -> str:
    """host[:port] as a trusted proxy said it; empty where none did."""
    return str(connection.scope.get(_FORWARDED_HOST, ""))


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks of the setting. Raises ConfigError."""
    found = []
    for name in names:
        try:
            found.append(ipaddress.ip_network(name, strict=False))
        except ValueError:
            raise ConfigError(
                f"CONDARIUM_TRUSTED_PROXIES: {name!r} is not an address or network, such as 127.0.0.1 or 10.0.0.0/8"
            ) from None
    return tuple(found)


@dataclass(frozen=True)
class Hop:
    """What one proxy says of the request it got; empty where it does not say."""

    client: str = ""
    scheme: str = ""
    host: str = ""


class Proxies:
    """ASGI middleware: client, scheme and host as the outermost trusted proxy saw them.

    Headers of anybody else are ignored: whoever can send them could name any address as their own. Proxies append,
    so the list is read from its end, and the first address that is not trusted is the client.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[Network] = ()) -> None:
        self.app = app
        self.trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.trusted and self._trusts((scope.get("client") or ("",))[0]):
            self._believe(scope)
        await self.app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hops = _forwarded(headers.getlist("forwarded")) or _x_forwarded(headers)
        if not hops:
            return
        client, scheme, host = "", "", ""
        for hop in reversed(hops):
            client, scheme, host = hop.client or client, hop.scheme or scheme, hop.host or host
            if not self._trusts(hop.client):
                break
        if client:
            scope["client"] = (client, 0)
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        if _HOST.match(host):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*others, (b"host", host.encode())]
            scope[_FORWARDED_HOST] = host

    def _trusts(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.trusted)


def _forwarded(values: list[str]) -> list[Hop]:
    """RFC 7239; what is malformed is as if it were not there."""
    hops = []
    for element in _split(",".join(values), ","):
        said: dict[str, str] = {}
        for pair in _split(element, ";"):
            match = _PAIR.match(pair)
            if match is None:
                return []
            value = match[2]
            said[match[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        hops.append(Hop(_address(said.get("for", "")), said.get("proto", "").lower(), said.get("host", "")))
    return hops


def _x_forwarded(headers: Headers) -> list[Hop]:
    """The older three. Only the list of addresses grows with each proxy; the others are as the last one set them."""
    clients = [_address(each) for each in _split(",".join(headers.getlist("x-forwarded-for")), ",")]
    schemes = _split(",".join(headers.getlist("x-forwarded-proto")), ",")
    hosts = _split(",".join(headers.getlist("x-forwarded-host")), ",")
    length = max(len(clients), len(schemes), len(hosts))

    def at(items: list[str], position: int) -> str:
        place = position - (length - len(items))
        return items[place] if place >= 0 else ""

    return [Hop(at(clients, n), at(schemes, n).lower(), at(hosts, n)) for n in range(length)]


def _split(text: str, separator: str) -> list[str]:
    """Outside of quotes; without empty items. A quote without an end holds the rest: it is looked for once."""
    quoted = re.findall(rf'(?:"(?:[^"\\]|\\.)*"|[^{separator}"]|"[\s\S]*)+', text)
    return [item.strip() for item in quoted if item.strip()]


def _address(text: str) -> str:
    """The address without a port; what hides itself (`unknown`, `_name`) stays a word that nothing trusts."""
    text = text.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text

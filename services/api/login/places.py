"""Addresses of a login: where people are sent, and only there; where the provider sends them back to."""

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from condarium.http.origins import allowed_origins, origin
from services.api.endpoint import Call, Gateway


def after(call: Call[Any, Any], wanted: str) -> str:
    """Where to go after a login or logout: `wanted` if it is a page of ours, else the first page.

    A page of ours is a path, or an address with our own origin or one that the settings allow.
    """
    home = call.link("/")
    if not wanted or len(wanted) > 4000 or any(ord(each) < 33 or each in '\\"<>' for each in wanted):
        return home
    if wanted.startswith("/"):
        # Browsers read // as the beginning of another host.
        return home if wanted.startswith("//") else wanted
    found = origin(wanted)
    if not found or "@" in urlsplit(wanted).netloc:
        return home
    known = {origin(call.gateway.settings.external_url), own_origin(call.request)}
    return wanted if found in known | allowed_origins(call.gateway.login.allowed_origins) else home


def absolute(call: Call[Any, Any], place: str) -> str:
    """`place` with the origin that the client used, as conda-store tells it."""
    return place if origin(place) else f"{own_origin(call.request)}{place}"


def own_origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def callback(call: Call[Any, Any]) -> str:
    """What is registered with the provider: below the external address, with the prefix that the login began under."""
    base, root = call.gateway.settings.external_url.rstrip("/"), call.link("")
    prefix = "" if root and base.endswith(root) else root
    return f"{base}{prefix}/oauth_callback/"


def cookie_path(gateway: Gateway) -> str:
    """All that is ours on the host, and no more: the same login is good under the prefix and at the root."""
    return urlsplit(gateway.settings.external_url).path.rstrip("/") or "/"


def is_secure(gateway: Gateway) -> bool:
    """Whether browsers reach us by TLS."""
    return gateway.settings.external_url.startswith("https://")

"""The real conda-store web UI at /ui/: one page for all its addresses, and the two files it loads."""

import gzip
import hashlib
import json
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from services.api.bodies import Model
from services.api.declaration import Reply, text
from services.api.endpoint import Call, Gateway, slow

FILES = {"main.js": "text/javascript; charset=utf-8", "main.css": "text/css; charset=utf-8"}
#: Its styles are made while it runs. Nothing is fetched from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# The browser says under which name it reached us: proxies and second names need no setting.
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Condarium</title>
<link rel="icon" href="$root/favicon.ico">
<script nonce="$nonce">
(function () {
  var place = window.location.origin + $root_json;
  window.condaStoreConfig = {
    REACT_APP_AUTH_METHOD: "cookie",
    REACT_APP_AUTH_TOKEN: "",
    REACT_APP_STYLE_TYPE: "green-accent",
    REACT_APP_SHOW_AUTH_BUTTON: "true",
    REACT_APP_SHOW_LOGIN_ICON: "true",
    REACT_APP_API_URL: place + "/",
    REACT_APP_LOGIN_PAGE_URL: place + "/login/?next=",
    REACT_APP_LOGOUT_PAGE_URL: place + "/logout/?next=/",
    REACT_APP_URL_BASENAME: $root_json + "/ui"
  };
})();
</script>
<script defer src="$root/static/conda-store-ui/main.js?v=$version"></script>
<link rel="stylesheet" href="$root/static/conda-store-ui/main.css?v=$version">
</head>
<body><noscript>The web UI needs JavaScript. The command line does not: condarium --help</noscript></body>
</html>
""")
_MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Condarium</title></head>
<body><p>The web UI is not installed here. <code>make up</code> fetches it where npm is installed and reaches its
registry; elsewhere run <code>python -m deploy.ui DIRECTORY</code> and set <code>CONDARIUM_UI</code> to that directory.
</p></body></html>
"""
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#276749"/>'
    '<path d="M11 5.2A3.6 3.6 0 1 0 11 10.8" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>'
)


_PAGES = (
    text("text/html", "The page"),
    text("text/html", "The page of an address that the UI does not know", status=404),
    text("text/html", "The UI is not installed here", status=503),
)


def routes(gateway: Gateway) -> list[Route]:
    return [
        slow(gateway, "/ui/", show_page, returns=_PAGES),
        slow(gateway, "/ui/{path:path}", show_page, returns=_PAGES),
        slow(
            gateway,
            "/static/conda-store-ui/{file}",
            show_file,
            returns=(
                text("text/javascript", "The script"),
                text("text/css", "The styles"),
                Reply(304, "It is what `If-None-Match` names", media_type=""),
            ),
            tag="ui",
        ),
        slow(gateway, "/favicon.ico", show_icon, returns=text("image/svg+xml", "The icon"), tag="ui"),
    ]


@dataclass(frozen=True)
class _File:
    """One file as it is sent."""

    content: bytes
    packed: bytes
    etag: str


@lru_cache(maxsize=len(FILES))
def _read(directory: Path, name: str) -> _File:
    content = (directory / name).read_bytes()
    return _File(content, gzip.compress(content, mtime=0), f'"{hashlib.sha256(content).hexdigest()[:32]}"')


async def show_page(call: Call[Model, Any]) -> Response:
    """The same page for every address: the UI itself looks at the path. Only its own not-found page is a 404."""
    directory = call.gateway.settings.ui
    if directory is None or not (directory / "main.js").exists():
        return HTMLResponse(_MISSING, 503)
    nonce = secrets.token_urlsafe(16)
    root = call.link("")
    version = (await call.aside(lambda: _read(directory, "main.js"))).etag.strip('"')[:12]
    page = _PAGE.substitute(root=root, root_json=json.dumps(root).replace("<", "\\u003c"), nonce=nonce, version=version)
    status = 404 if call.request.url.path.rstrip("/").endswith("not-found") else 200
    headers = {"content-security-policy": POLICY.format(nonce=nonce), "cache-control": "no-cache"}
    return HTMLResponse(page, status, headers=headers)


async def show_file(call: Call[Model, Any]) -> Response:
    """The UI's script and styles."""
    name, directory = call.text("file"), call.gateway.settings.ui
    if name not in FILES or directory is None or not (directory / name).exists():
        raise HTTPException(404)
    found = await call.aside(lambda: _read(directory, name))
    headers = {
        "etag": found.etag,
        "vary": "accept-encoding",
        # The page asks for it with its digest in the address.
        "cache-control": "public, max-age=31536000, immutable" if call.request.url.query else "no-cache",
        "content-type": FILES[name],
        "x-content-type-options": "nosniff",
    }
    if call.request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in call.request.headers.get("accept-encoding", ""):
        return Response(found.packed, headers={**headers, "content-encoding": "gzip"})
    return Response(found.content, headers=headers)


async def show_icon(call: Call[Model, Any]) -> Response:
    return Response(_ICON, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})

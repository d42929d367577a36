"""The page at `/`: what a newcomer does first. Self-contained; what is filled in is escaped."""

import html
from string import Template
from typing import Any

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from condarium.domain.access import Action
from services.api.bodies import Model
from services.api.declaration import redirect, text
from services.api.endpoint import Call, Gateway, slow

#: the page needs nothing but its own styles
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Condarium</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
h1 { margin-bottom: 0; } h2 { margin-top: 2rem; font-size: 1.1rem; }
pre { background: #f2f5f7; padding: .8rem 1rem; overflow-x: auto; border-radius: 6px; }
code { font: 14px/1.5 ui-monospace, monospace; } .quiet { color: #5a6b7b; }
</style>
</head>
<body>
<h1>Condarium</h1>
<p class="quiet">Builds and serves conda environments: as a directory, a lockfile, a tarball, an image.
You are <strong>$caller</strong>$hint</p>

<h2>1. Write an environment.yml</h2>
<pre><code>name: first
channels: [conda-forge]
dependencies:
  - python
  - numpy</code></pre>

<h2>2. Have it built</h2>
<p>The administrator's token is the setting <code>CONDARIUM_ADMIN_TOKEN</code>; <code>make up</code> writes it to
<code>.local/condarium.env</code>. Here and below, put your build's number for 1.</p>
<pre><code>export CONDARIUM_API_URL=$url CONDARIUM_TOKEN=...
condarium env create environment.yml
condarium build logs --follow 1</code></pre>
<p>or without our command line:</p>
<pre><code>python3 -c 'import json; print(json.dumps({"specification": open("environment.yml").read()}))' |
curl -H "Authorization: Bearer $$CONDARIUM_TOKEN" -d @- $url/api/v1/specification/
curl $url/api/v1/build/1/
curl -N $url/api/v1/build/1/logs/stream/</code></pre>

<h2>3. Use it</h2>
<pre><code>docker pull $registry/$namespace/first:latest
curl -L -o first.tar.gz "$url/api/v1/build/1/archive/?wait=60"
curl -L "$url/api/v1/build/1/lockfile/"
curl -L "$url/api/v1/build/1/lockfile/?format=explicit"</code></pre>
<p>The directory of build 1 is in <code>condarium.prefix</code> of
<a href="$root/api/v1/build/1/"><code>/api/v1/build/1/</code></a>.</p>

<h2>4. Follow what happens</h2>
<pre><code>curl -N "$url/api/v1/events/?after=0"</code></pre>

<p><a href="$root/ui/">The web UI</a> makes and edits environments; <a href="$root/admin/">/admin/</a> shows builds with
their live logs, namespaces and roles, tokens, settings, usage and the audit log.</p>

<p class="quiet"><a href="$root/api/v1/environment/">environments</a> ·
<a href="$root/api/v1/build/">builds</a> ·
<a href="$root/api/v1/permission/">what you may do</a></p>
</body>
</html>
""")


def routes(gateway: Gateway) -> list[Route]:
    page, away = text("text/html", "What to do first"), redirect("To the web UI, under the prefix")
    return [slow(gateway, "/", first_steps, returns=(page, away))]


async def first_steps(call: Call[Model, Any]) -> Response:
    """The page of first steps. Under the prefix it is the web UI, where there is one: as conda-store has it."""
    settings = call.gateway.settings
    if call.link("") and settings.ui is not None:
        return RedirectResponse(call.link("/ui/"), 307)
    writes = call.caller.may(Action.CREATE_ENVIRONMENT, settings.default_namespace)
    hint = "." if writes else ", who may look but not build: that takes a token."
    values = {
        "caller": call.caller.name,
        "hint": hint,
        "url": settings.external_url,
        "root": call.link(""),
        "registry": settings.registry_external,
        "namespace": settings.default_namespace,
    }
    filled = _PAGE.substitute({name: html.escape(value) for name, value in values.items()})
    return HTMLResponse(filled, headers={"content-security-policy": POLICY, "cache-control": "no-store"})

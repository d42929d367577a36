"""What those who run the service ask, under promises: /healthz, /readyz, /metrics."""

import time

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium import metrics
from condarium.database import Database, figures
from condarium.errors import Unavailable
from condarium.http import operating
from services.api.declaration import bare, declared, text
from services.api.endpoint import Gateway
from services.api.replies.status import Alive, Readiness

#: conda-store's figures are read anew after this: anybody may ask for them
FRESH_SECONDS = 10.0

_PROMISES = {
    "/healthz": (bare(Alive, example={"status": "alive"}),),
    "/readyz": (
        bare(Readiness, example={"status": "ready", "away": {}}),
        bare(Readiness, "Parts are away", status=503, example={"status": "not-ready", "away": {"broker": "refused"}}),
    ),
    "/metrics": (text(description="Prometheus's exposition format, and conda-store's own lines"),),
}
_SUMMARIES = {"/healthz": "Whether the process lives", "/readyz": "Whether its parts are there", "/metrics": "Figures"}


class Figures:
    """conda-store's lines of /metrics, a few seconds old; none while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines = b""
        self._until = 0.0

    def lines(self) -> bytes:
        if time.monotonic() < self._until:
            return self._lines
        try:
            with self._database.transaction() as session:
                self._lines = _lines(session)
        except Unavailable:
            return b""
        self._until = time.monotonic() + FRESH_SECONDS
        return self._lines


def _lines(session: Session) -> bytes:
    found = figures.installation(session)
    return "".join(f"conda_store_{name} {value}\n" for name, value in found.items()).encode()


def routes(gateway: Gateway) -> list[Route]:
    own = Figures(gateway.database)

    async def show_metrics(request: Request) -> Response:
        # Figures of the database are read while this runs.
        body, media_type = await run_in_threadpool(metrics.exposition)
        return Response(body + await run_in_threadpool(own.lines), media_type=media_type)

    found = [route for route in operating.routes(gateway.checks) if route.path != "/metrics"]
    return [
        declared(route, *_PROMISES[route.path], tag="operating", summary=_SUMMARIES[route.path])
        for route in (*found, Route("/metrics", show_metrics))
    ]

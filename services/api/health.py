"""What those who run the service ask, under promises: /healthz, /readyz, /metrics."""

from starlette.routing import Route

from condarium.http import operating
from services.api.declaration import bare, declared, text
from services.api.endpoint import Gateway
from services.api.replies.status import Alive, Readiness

_PROMISES = {
    "/healthz": (bare(Alive, example={"status": "alive"}),),
    "/readyz": (
        bare(Readiness, example={"status": "ready", "away": {}}),
        bare(Readiness, "Parts are away", status=503, example={"status": "not-ready", "away": {"broker": "refused"}}),
    ),
    "/metrics": (text(description="Prometheus's exposition format"),),
}
_SUMMARIES = {"/healthz": "Whether the process lives", "/readyz": "Whether its parts are there", "/metrics": "Figures"}


def routes(gateway: Gateway) -> list[Route]:
    return [
        declared(route, *_PROMISES[route.path], tag="operating", summary=_SUMMARIES[route.path])
        for route in operating.routes(gateway.checks)
    ]

"""/healthz, /readyz and /metrics: what those who run the service ask. Public: they name parts, never data."""

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condarium import metrics
from condarium.http.json_reply import JsonReply

#: what is asked of a part: raises when it is away
Check = Callable[[], None]


def routes(checks: Mapping[str, Check]) -> list[Route]:
    """The three routes; `checks` is a question for each part that must be there to be ready."""

    async def healthz(request: Request) -> Response:
        return JsonReply({"status": "alive"})

    async def readyz(request: Request) -> Response:
        away = await run_in_threadpool(absent, checks)
        return JsonReply({"status": "not-ready" if away else "ready", "away": away}, 503 if away else 200)

    async def show_metrics(request: Request) -> Response:
        # Figures of the database are read while this runs.
        body, media_type = await run_in_threadpool(metrics.exposition)
        return Response(body, media_type=media_type)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", show_metrics)]


def absent(checks: Mapping[str, Check]) -> dict[str, str]:
    """The parts that are away, each with the reason."""
    away = {}
    for name, check in checks.items():
        try:
            check()
        except Exception as error:  # whatever a driver raises, the part is away
            away[name] = str(error) or type(error).__name__
    return away

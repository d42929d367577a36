"""The yardstick of lists: a Starlette application that does nothing but write the same page as JSON.

python -m benchmarks.bare_route PORT, with the page on standard input
"""

import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def application(content: object) -> Starlette:
    async def page(request: Request) -> Response:
        return JSONResponse(content)

    return Starlette(routes=[Route("/", page)])


if __name__ == "__main__":
    uvicorn.run(application(json.load(sys.stdin)), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")

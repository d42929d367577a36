"""The REST client: what the command line and other programs use.

from condarium.client import Client
with Client("http://127.0.0.1:8080", token="...") as client:
    build = client.wait(client.submit(open("environment.yml").read()))
    print(build.status, client.image(build.id, wait_seconds=300).pinned)

`AsyncClient` has the same methods, to be awaited; lists are iterators that read page by page.
"""

from condarium.client.asynchronous.client import AsyncClient
from condarium.client.faults import (
    ApiError,
    Conflicting,
    Damaged,
    NotMade,
    NotThere,
    Refused,
    ServerAway,
    StillWaiting,
    TooMany,
    Wrong,
)
from condarium.client.messages import Message
from condarium.client.synchronous.client import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "Conflicting",
    "Damaged",
    "Message",
    "NotMade",
    "NotThere",
    "Refused",
    "ServerAway",
    "StillWaiting",
    "TooMany",
    "Wrong",
]

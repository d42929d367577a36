"""Reads are tried again, writes only where nothing can happen twice; streams and downloads go on where they stood."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from condarium.client import ApiError, AsyncClient, Client, Conflicting, Damaged, Refused, ServerAway, TooMany, Wrong

VERSION = {"version": "1", "condarium": {"version": "2"}}
OK = httpx.Response(200, json={"status": "ok", "data": VERSION, "message": None})


class Answers:
    """Gives one answer after the other, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.left = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(answers: Answers, **more: Any) -> Client:
    return Client("http://gateway.example", transport=httpx.MockTransport(answers), **more)


def unavailable(**headers: str) -> httpx.Response:
    said = {"status": "error", "message": "the database is away", "code": "unavailable"}
    return httpx.Response(503, json=said, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_read_is_tried_again_a_bounded_number_of_times() -> None:
    answers = Answers(httpx.ReadError("reset"), unavailable(retry_after="0"), httpx.Response(502, text="<html>"), OK)
    with client(answers) as one:
        assert one.version().condarium.version == "2"
    assert len(answers.asked) == 4
    answers = Answers(*[unavailable(retry_after="0") for _ in range(9)])
    with client(answers) as one, pytest.raises(ServerAway, match="the database is away") as caught:
        one.version()
    assert (len(answers.asked), caught.value.status, caught.value.code) == (4, 503, "unavailable")


def test_a_server_that_wants_a_long_pause_is_away() -> None:
    answers = Answers(unavailable(retry_after="3600"), OK)
    with client(answers) as one, pytest.raises(ServerAway):
        one.version()
    assert len(answers.asked) == 1


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (httpx.ReadError("reset"), 1),
        (unavailable(), 1),
        # Nothing of it was sent, nothing of it was done.
        (httpx.ConnectError("refused"), 2),
        (
            httpx.Response(
                429, json={"message": "too many", "code": "too-many-requests"}, headers={"retry-after": "0"}
            ),
            2,
        ),
    ],
    ids=["reset", "503", "refused", "429"],
)
def test_a_write_is_tried_again_only_if_it_was_not_done(answer: Any, asked: int) -> None:
    answers = Answers(answer, httpx.Response(200, json={"status": "ok", "data": {"build_id": 7}, "message": None}))
    with client(answers) as one:
        if asked == 1:
            with pytest.raises(ServerAway):
                one.submit("name: a")
        else:
            assert one.submit("name: a") == 7
    assert len(answers.asked) == asked


def test_what_may_happen_twice_is_tried_again() -> None:
    answers = Answers(httpx.ReadError("reset"), httpx.Response(200, json={"status": "ok", "message": None}))
    with client(answers) as one:
        one.label(3, {"git": "1"})
    assert len(answers.asked) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (httpx.Response(403, json={"message": "request not authorized", "code": "not-authorized"}), Refused, "login"),
        (httpx.Response(403, json={"message": "quota", "code": "quota-exceeded"}), Refused, "quota"),
        (httpx.Response(409, json={"message": "it has ended", "code": "conflict"}), Conflicting, "it has ended"),
        (httpx.Response(429, json={"message": "later", "code": "too-many-requests"}), TooMany, "later"),
        (
            httpx.Response(422, json={"detail": [{"type": "x", "loc": ["body", "labels", "git"], "msg": "too long"}]}),
            Wrong,
            "labels.git: too long",
        ),
        (httpx.Response(200, text="<html>a proxy's page"), ApiError, "not Condarium's"),
        (httpx.Response(200, json={"data": [1]}), ApiError, "not Condarium's"),
        (httpx.Response(418, text="tea"), ApiError, "answered 418"),
    ],
    ids=["403", "quota", "409", "429", "422", "html", "shape", "418"],
)
def test_every_error_is_a_sentence(reply: httpx.Response, kind: type[ApiError], said: str) -> None:
    answers = Answers(*[reply] * 4)
    with client(answers, tries=1) as one, pytest.raises(kind, match=said) as caught:
        one.version()
    assert "\n" not in str(caught.value)


def rows(*numbers: int, count: int) -> httpx.Response:
    base = {"environment_id": 1, "specification": None, "packages": None, "status": "COMPLETED", "status_info": None}
    ours = {
        "namespace": "a",
        "environment": "b",
        "generation": 1,
        "key": "k",
        "reason": None,
        "cancel_requested": False,
        "deleted_on": None,
    }
    times = {"size": 0, "scheduled_on": "2026-11-23T00:26:09.096410", "started_on": None, "ended_on": None}
    data = [{"id": n, **base, **times, "build_artifacts": None, "condarium": ours, "later": 1} for n in numbers]
    return httpx.Response(200, json={"status": "ok", "data": data, "message": None, "count": count})


def test_pages_that_move_show_every_row_once() -> None:
    """A build that is queued between two pages pushes the last row of the first one into the second."""
    first, second = rows(*range(200, 100, -1), count=201), rows(*range(101, 1, -1), count=202)
    answers = Answers(first, second, rows(1, count=202))
    with client(answers) as one:
        found = list(one.builds(namespace="a"))
    assert [row.id for row in found] == list(range(200, 0, -1))
    assert answers.asked[0].url.params["namespace"] == "a"
    # What a newer server says is kept, and times are what came.
    assert found[0].to_json()["later"] == 1
    assert found[0].to_json()["scheduled_on"] == "2026-11-23T00:26:09.096410"


def stream(*messages: str, cut: bool = False) -> httpx.Response:
    def body() -> Iterator[bytes]:
        for message in messages:
            yield message.encode()
        if cut:
            raise httpx.ReadError("reset")

    return httpx.Response(200, content=body(), headers={"content-type": "text/event-stream"})


def test_a_stream_goes_on_where_it_broke() -> None:
    answers = Answers(
        stream(': hello\n\nid: 5\nevent: log\ndata: {"text":\ndata: "a"}\n\n', cut=True),
        unavailable(retry_after="0"),
        stream('id: 6\nevent: log\ndata: {"text": "b"}\n\nevent: end\ndata: {"status": "COMPLETED"}\n\n'),
    )
    with client(answers) as one:
        found = [(message.event, message.id) for message in one.follow(1)]
    assert found == [("log", "5"), ("log", "6"), ("end", None)]
    assert [request.headers.get("last-event-id") for request in answers.asked] == [None, "5", "5"]


def test_a_stream_that_is_refused_says_so() -> None:
    answers = Answers(httpx.Response(403, json={"message": "request not authorized", "code": "not-authorized"}))
    with client(answers) as one, pytest.raises(Refused):
        next(one.events(after=0))


BYTES = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(BYTES).hexdigest()


@contextmanager
def storage(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def breaking(asked: list[str | None], content: bytes = BYTES, etag: str = DIGEST) -> Callable[[Any], None]:
    """Redirects to storage, which breaks every answer off after 300,000 bytes."""

    def answer(handler: Any) -> None:
        if handler.path.startswith("/api/"):
            handler.send_response(307)
            handler.send_header("Location", f"/storage/blobs/sha256/{DIGEST}?signature=x")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        wanted = handler.headers.get("Range")
        asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        handler.send_response(206 if wanted else 200)
        if wanted:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("ETag", f'"{etag}"')
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + 300_000])

    return answer


def test_a_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    asked: list[str | None] = []
    target = tmp_path / "a.tar.gz"
    seen: list[tuple[int, int | None]] = []
    with storage(breaking(asked)) as url, Client(url) as one:
        size = one.save("build/1/archive/", target, progress=lambda now, total: seen.append((now, total)))
    assert (size, target.read_bytes() == BYTES) == (len(BYTES), True)
    assert asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]
    assert seen[-1] == (len(BYTES), len(BYTES))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz"]


def test_the_async_client_downloads_too(tmp_path: Path) -> None:
    async def go(url: str) -> int:
        async with AsyncClient(url) as one:
            return await one.save("build/1/archive/", tmp_path / "a")

    with storage(breaking([])) as url:
        assert asyncio.run(go(url)) == len(BYTES)


def test_what_is_damaged_never_appears(tmp_path: Path) -> None:
    with storage(breaking([], content=b"x" * 100)) as url, Client(url) as one:
        with pytest.raises(Damaged, match="sha256"):
            one.save("build/1/archive/", tmp_path / "a")
        with pytest.raises(Damaged, match="was asked for"):
            one.save("build/1/archive/", tmp_path / "a", digest="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_never_comes_ends(tmp_path: Path) -> None:
    def nothing(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()

    with storage(nothing) as url, Client(url) as one, pytest.raises(ServerAway):
        one.save("build/1/archive/", tmp_path / "a")

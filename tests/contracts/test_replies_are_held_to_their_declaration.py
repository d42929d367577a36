"""The witness that stands around every gateway of the tests finds each kind of reply that was not promised."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.api.declaration import ACK, Declaration, DeclaredRoute, Reply, data, declared, page, text
from services.api.endpoint import Ack, Done, enveloped
from services.api.replies.builds import Submitted
from services.api.replies.environments import NamespaceRow
from tests.fixtures.declared import faults_of


def promising(*returns: object, path: str = "/x/") -> Declaration:
    route = declared(Route(path, lambda request: PlainTextResponse("")), *returns, errors=(403,))
    assert isinstance(route, DeclaredRoute)
    return route.declaration


def faults(declaration: Declaration, status: int, body: str, media_type: str = "application/json") -> list[str]:
    return faults_of(declaration, status, media_type, body.encode())


def test_what_was_promised_passes() -> None:
    declaration = promising(Submitted)
    assert faults(declaration, 200, '{"status": "ok", "data": {"build_id": 1}, "message": null}') == []
    assert faults(declaration, 403, '{"status": "error", "message": "no", "code": "not-authorized"}') == []
    assert faults(promising(text()), 200, "anything", "text/plain; charset=utf-8") == []
    assert faults(promising(text("*/*")), 200, "anything", "image/png") == []
    assert faults(promising(Reply(304, media_type="")), 304, "", "") == []


@pytest.mark.parametrize(
    "body",
    [
        '{"status": "ok", "data": {"build_id": 1, "secret": 2}, "message": null}',
        '{"status": "ok", "data": {}, "message": null}',
        '{"status": "ok", "data": {"build_id": "1"}, "message": null}',
        '{"status": "ok", "data": {"build_id": 1}}',
        '{"status": "error", "data": {"build_id": 1}, "message": null}',
        "[]",
        "{",
    ],
)
def test_another_body_is_found(body: str) -> None:
    assert len(faults(promising(Submitted), 200, body)) == 1


def test_another_code_or_media_type_is_found() -> None:
    declaration = promising(Submitted)
    assert "409 is not declared" in faults(declaration, 409, "{}")[0]
    assert "'text/html'" in faults(declaration, 200, "<p>", "text/html")[0]


def test_codes_follow_from_the_shape() -> None:
    def codes(declaration: Declaration) -> set[int]:
        return {reply.status for reply in declaration.replies}

    assert codes(promising(ACK)) == {200, 403, 503}
    assert codes(promising(ACK, path="/x/{name}/")) == {200, 403, 404, 422, 503}
    assert promising(page(NamespaceRow)).reply(200)[0].model.__name__ == "NamespaceRowPage"


def test_the_envelopes_are_those_that_are_made() -> None:
    for reply, answer in (
        (data(Submitted), enveloped(Done({"build_id": 1}, "rebuild triggered"))),
        (ACK, enveloped(Ack("done"))),
    ):
        assert faults_of(promising(reply), 200, "application/json", bytes(answer.body)) == []

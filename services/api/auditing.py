"""What every route leaves in the audit log: writes in their own transaction, refusals as sums."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from condarium.database import audit
from condarium.errors import NotAuthorized

if TYPE_CHECKING:
    from services.api.endpoint import Call

#: of an answer, what says which thing was made
TELLING = ("build_id", "environment_id", "id", "name")


def record_write(session: Session, call: "Call[Any, Any]", operation: str, answer: Any) -> None:
    """The row of a write that has just been done by the route's function `operation`.

    The action and the resource are what the caller was first asked for; `call.notes` says more.
    """
    action, resource = call.caller.asked[0] if call.caller.asked else (operation.replace("_", "-"), "*/*")
    path = {name: value for name, value in call.request.path_params.items() if name not in _PARTS_OF_ARN}
    audit.record(
        session,
        principal=call.caller.name,
        action=action,
        resource=resource,
        details={"operation": operation, **path, **_telling(answer), **call.notes},
        address=call.address,
    )


_PARTS_OF_ARN = frozenset({"namespace", "environment_name"})


def _telling(answer: Any) -> Mapping[str, Any]:
    data = getattr(answer, "data", answer)
    if not isinstance(data, Mapping):
        return {}
    return {name: data[name] for name in TELLING if isinstance(data.get(name), (str, int))}


@contextmanager
def noting_refusals(call: "Call[Any, Any]", operation: str) -> Iterator[None]:
    """Counts a refusal of the block's, and lets it pass."""
    try:
        yield
    except NotAuthorized as error:
        call.gateway.tallies.denied(
            principal=call.caller.name,
            action=error.action or operation.replace("_", "-"),
            resource=error.resource or "*/*",
            address=call.address,
        )
        raise

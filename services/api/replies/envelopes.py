"""What stands around every reply, and the forms of errors."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

#: naive UTC: conda-store's UI appends the `Z` itself
Moment = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$",
        description="UTC, without an offset",
        examples=["2026-11-23T00:26:09.096410"],
    ),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Shown(BaseModel):
    """A part of a reply: what is not named here is not sent. A field with a default may be left out."""

    model_config = ConfigDict(extra="forbid")


def _title(shape: Any) -> str:
    """A name for a schema: `Build`, `ListOfArtifact`, `MapOfUsage`."""
    origin: Any = getattr(shape, "__origin__", None)
    inside: Any = getattr(shape, "__args__", ())
    if origin is list:
        return f"ListOf{_title(inside[0])}"
    if origin is dict:
        return f"MapOf{_title(inside[1])}"
    name = str(getattr(shape, "__name__", "Anything"))
    return name[:1].upper() + name[1:]


class Enveloped(Shown, Generic[T]):
    """Done; `data` is what was asked for."""

    status: Literal["ok"]
    data: T
    message: str | None

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{_title(params[0])}Reply"


class PageOf(Shown, Generic[T]):
    """Some of the rows; `count` is how many there are on all pages."""

    status: Literal["ok"]
    data: list[T]
    message: None
    page: Annotated[int, Field(ge=1)]
    size: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=0)]

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{_title(params[0])}Page"


class Acknowledged(Shown):
    """Done; there is nothing to show."""

    status: Literal["ok"]
    message: str | None


class StreamedEvent(Shown):
    """One event of a stream; the schema is of each, not of the whole body."""

    event: str
    data: Annotated[str, Field(description="JSON", json_schema_extra={"contentMediaType": "application/json"})]
    id: Annotated[str, Field(description="what to send as `Last-Event-ID`; state without a place has none")] = ""


class Problem(Shown):
    """What went wrong, in a sentence; `code` is for programs."""

    status: Literal["error"]
    message: str
    code: Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")]


class Detail(Shown):
    """An address that nobody answers."""

    detail: str


class Fault(Shown):
    """One thing in the request that does not fit; `loc` is the way to it."""

    type: str
    loc: list[str | int]
    msg: str
    input: Any
    ctx: dict[str, Any] | None = None


class Invalid(Shown):
    """A request that does not fit its model."""

    detail: list[Fault]

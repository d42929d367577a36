"""What people type: forms and queries, checked by the models of REST; faults know the field they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError

from condarium.errors import CondariumError, InvalidInput
from condarium.http.faults import Unprocessable
from condarium.http.requests import read_body
from services.api.endpoint import Call

FORM = "application/x-www-form-urlencoded"
LONGEST_FORM = 256 * 1024
MOST_FIELDS = 100

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Form:
    """The fields of a form by name; what is missing is empty."""

    values: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def line(self, name: str) -> str:
        return self[name].strip()

    def lines(self, name: str) -> list[str]:
        """Those that are not empty."""
        return [line.strip() for line in self[name].splitlines() if line.strip()]


@dataclass(frozen=True)
class Fault:
    """Why nothing was done. `fields` are sentences by the name of the field that they stand at."""

    status: int
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)


def fault_of(error: CondariumError | Unprocessable) -> Fault:
    if isinstance(error, CondariumError):
        return Fault(error.status, str(error))
    fields: dict[str, str] = {}
    for each in error.errors:
        place = [str(part) for part in each["loc"][1:]]
        fields.setdefault(place[0] if place else "", f"{'.'.join(place[1:])} {each['msg']}".strip())
    said = "; ".join(f"{name}: {words}" if name else words for name, words in fields.items())
    return Fault(422, said, fields)


async def read(call: Call[Any, Any]) -> Form:
    """The form that was posted. Raises InvalidInput for what is none, TooLarge."""
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await read_body(call.request, LONGEST_FORM)
    if raw and kind != FORM:
        raise InvalidInput(f"these pages take forms ({FORM}); programs use /api/v1/")
    try:
        found = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise InvalidInput(f"the body is no form of at most {MOST_FIELDS} fields in UTF-8") from None
    values = {name: each[-1].replace("\r\n", "\n") for name, each in found.items()}
    for name, value in values.items():
        if "\0" in value:
            raise Unprocessable([{"loc": ["body", name], "msg": "text must not hold the character U+0000"}])
    return Form(values)


def asked(call: Call[Any, Any]) -> Form:
    """The fields of the query."""
    return Form({name: value for name, value in call.request.query_params.items() if value})


def checked(model: type[M], values: Mapping[str, Any]) -> M:
    """Raises Unprocessable."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        raise Unprocessable(
            [{"loc": ["body", *each["loc"]], "msg": each["msg"], "type": each["type"]} for each in faults]
        ) from None

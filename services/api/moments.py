"""Times in queries and bodies: ISO 8601, as the description says; without a zone they are UTC, as in all replies."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError


def _no_number(value: Any) -> Any:
    """pydantic takes numbers, as text too, for seconds since 1970: 20260101 would be a day in August of that year."""
    try:
        float(value)
    except (TypeError, ValueError):
        return value
    except OverflowError:
        pass  # a number all the same
    raise PydanticCustomError(
        "datetime_number", "Input should be a datetime of ISO 8601, such as 2026-11-23T17:00:00Z, not a number"
    )


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else _no_number(value)


def _with_zone(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _in_utc(value: datetime | None) -> datetime | None:
    zoned = _with_zone(value)
    try:
        return zoned.astimezone(UTC) if zoned else None
    except OverflowError:
        raise PydanticCustomError("datetime_range", "Input should be a datetime that UTC can express") from None


Moment = Annotated[
    datetime | None, BeforeValidator(_no_number, json_schema_input_type=datetime | None), AfterValidator(_in_utc)
]
#: of a filter, where `?key=` is the same as no key, and any time is a bound, also one that UTC cannot express
MomentOrEmpty = Annotated[
    datetime | None, BeforeValidator(_empty_is_none, datetime | Literal[""] | None), AfterValidator(_with_zone)
]

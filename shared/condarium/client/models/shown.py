"""What all replies have in common: fields that are not known are kept, so that newer servers lose nothing."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _on_the_wire(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


#: aware, in UTC; shown as the server writes it, without a zone
Moment = Annotated[datetime, AfterValidator(_in_utc), PlainSerializer(_on_the_wire, return_type=str)]


class Shown(BaseModel):
    """A part of a reply."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """As the server sent it."""
        return self.model_dump(mode="json", by_alias=True)

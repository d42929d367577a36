"""Tags of images by packages: `latest`, a day that freezes the channels, or the lock hash of an earlier answer."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from condarium.domain.tags import HashPrefix, Latest
from condarium.errors import InvalidInput

#: conda is not older
FIRST_DAY = date(2012, 1, 1)

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_LIKE_A_DAY = re.compile(r"[0-9]{1,4}[-_.][0-9]{1,2}[-_.][0-9]{1,4}\Z")
_HASH = re.compile(r"[0-9a-f]{8,64}\Z")

ALLOWED = (
    "an image by packages has the tags latest, a day such as 2026-11-20 (what the channels had at its end), "
    "and the lock hash of an earlier answer (8 to 64 hex digits)"
)


@dataclass(frozen=True)
class Frozen:
    """What the channels had when that day ended."""

    day: date


Tag = Latest | Frozen | HashPrefix


def parse_tag(text: str, *, today: date) -> Tag:
    """`today` is the day in UTC. Raises InvalidInput that says what is allowed."""
    if text == "latest":
        return Latest()
    if _DAY.match(text):
        return Frozen(_day(text, today))
    if _LIKE_A_DAY.match(text):
        raise InvalidInput(f"the tag {text} is no day; write it as {today.isoformat()}")
    if _HASH.match(text):
        return HashPrefix(text)
    raise InvalidInput(f"there is no tag {text[:128]}: {ALLOWED}")


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"the tag {text} is no day of the calendar; write one such as {today.isoformat()}") from None
    if day > today:
        raise InvalidInput(
            f"the tag {text} is a day in the future (it is {today.isoformat()} in UTC); "
            f"ask for {today.isoformat()}, an earlier day, or latest"
        )
    if day < FIRST_DAY:
        raise InvalidInput(f"the tag {text} is before there were conda packages; the first day is {FIRST_DAY}")
    return day


def end_of(day: date) -> datetime:
    """The last moment of a day in UTC that repodata can tell, which is to the millisecond."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1, milliseconds=-1)

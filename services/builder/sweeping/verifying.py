"""The prefixes of the store against their locks; what is damaged is linked again and exchanged in one step."""

from collections.abc import Mapping
from typing import Any

from condarium import log
from condarium.database.garbage import prefixes as rows
from condarium.errors import CondariumError, LeaseLost
from condarium.work.sweeper import Beat
from services.builder import relinking
from services.builder.handlers import Work
from services.builder.store import expect_mounted
from services.builder.sweeping.aside import Aside

#: of the damaged prefixes that a report names
SHOWN = 100

logger = log.get(__name__)


def verify(
    work: Work, environ: Mapping[str, str], relinker: relinking.Relinker, options: Mapping[str, Any], beat: Beat
) -> dict[str, Any]:
    """Reads every file of every prefix; `repair` mends what is damaged."""
    repair = bool(options.get("repair"))
    with work.database.transaction() as session:
        every = rows.to_verify(session, work.store.id)
    damaged: list[dict[str, Any]] = []
    with Aside(environ) as aside:
        for each in every:
            beat()
            expect_mounted(work.store)
            found = _one(work, aside, relinker, each, repair)
            if found is not None:
                damaged.append(found)
    repaired = sum(1 for each in damaged if each["repaired"])
    return {"checked": len(every), "bad": damaged[:SHOWN], "bad_count": len(damaged), "repaired": repaired}


def _one(
    work: Work, aside: Aside, relinker: relinking.Relinker, each: rows.Wanted, repair: bool
) -> dict[str, Any] | None:
    with work.database.transaction() as session:
        lock = relinking.lock_of(session, each.lock_hash)
    question = {
        "do": "verify",
        "prefix": str(work.store.directory / each.path),
        "lock": lock.to_json(),
        "cache": str(work.settings.package_cache),
        "drop": repair,
    }
    answer = aside.ask(question)
    if not answer["count"]:
        return None
    logger.warning("a prefix is damaged", prefix=each.path, problems=answer["count"])
    said: dict[str, Any] = {"prefix": each.path, **answer, "repaired": False}
    if repair:
        try:
            relinker.relink(each, mend=True)
            said["repaired"] = True
        except LeaseLost:
            raise
        except CondariumError as error:
            said["why_not"] = str(error)
    return said

"""`python -m condarium.database migrate|check|recount`."""

import os
import sys

from condarium.config import REGISTER, check_names, read
from condarium.database import Database, counts
from condarium.database.migrate import check_schema, migrate
from condarium.errors import CondariumError


def main(arguments: list[str]) -> int:
    commands = {"migrate": migrate, "check": check_schema, "recount": _recount}
    if len(arguments) != 1 or arguments[0] not in commands:
        sys.stderr.write(f"usage: python -m condarium.database {'|'.join(commands)}\n")
        return 2
    try:
        check_names(os.environ)
        url = read(REGISTER["CONDARIUM_DATABASE_URL"], os.environ)
        commands[arguments[0]](url)
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _recount(url: str) -> None:
    """The counts of lists, after rows were changed with the triggers switched off (docs/adr/0011)."""
    database = Database(url)
    try:
        with database.transaction() as session:
            counts.recount(session)
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m condarium.database migrate|check`."""

import os
import sys

from condarium.config import REGISTER, check_names, read
from condarium.database.migrate import check_schema, migrate
from condarium.errors import CondariumError


def main(arguments: list[str]) -> int:
    if arguments not in (["migrate"], ["check"]):
        sys.stderr.write("usage: python -m condarium.database migrate|check\n")
        return 2
    try:
        check_names(os.environ)
        url = read(REGISTER["CONDARIUM_DATABASE_URL"], os.environ)
        migrate(url) if arguments == ["migrate"] else check_schema(url)
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Wiring of the command; see `services.packager.bases`."""

import os
import sys
from collections.abc import Sequence

from condarium import config, log
from condarium.database import Database, check_schema
from condarium.errors import CondariumError
from services.packager.bases import Settings, parser, run, show


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    try:
        settings = config.load(Settings, os.environ)
        log.configure("packager", "warning")
        check_schema(settings.database_url)
        database = Database(settings.database_url, pool_size=2, application="condarium-bases")
        try:
            show(run(asked, settings, database))
        finally:
            database.close()
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

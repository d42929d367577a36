"""Links the packages of a job twice, by copy: without their link scripts, then with them."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rattler import Subdir, install
from rattler.config import Config

from condarium.conda.link import to_rattler
from condarium.domain.lock import Lock


async def link(lock: Lock, archives: Mapping[str, str], directory: Path, prefix: str) -> None:
    records = to_rattler(lock.conda, directory / "records")
    for record in records:
        assert record.sha256 is not None
        record.url = Path(archives[record.sha256.hex()]).as_uri()
    for name, scripts in (("without", False), ("with", True)):
        await install(
            records,
            target_prefix=directory / name,
            alternative_target_prefix=prefix,
            cache_dir=directory / "packages",
            installed_packages=[],
            platform=Subdir(lock.platform),
            execute_link_scripts=scripts,
            show_progress=False,
            config=Config.from_toml("allow-hard-links = false"),
        )


def main() -> None:
    directory = Path(sys.argv[1])
    job = json.loads((directory / "job.json").read_text())
    try:
        asyncio.run(link(Lock.from_json(job["lock"]), job["archives"], directory, job["prefix"]))
    except Exception as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)
    # Without taking the interpreter down: threads of rattler may still be at work.
    os._exit(0)


if __name__ == "__main__":
    main()

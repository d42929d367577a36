"""Reads blobs and says which are not what their digest says: `python -m services.packager.sweeping.reading`.

In: {"storage_url", "digests"} as JSON. Out: [{"digest", "what": "missing" or "damaged", "bytes"}].
"""

import hashlib
import json
import os
import sys
from typing import Any

from condarium.errors import CondariumError, NotFound
from condarium.storage import Storage, blob_key, open_storage


def judge(storage: Storage, digest: str) -> dict[str, Any] | None:
    """None for a sound one. Raises WorldFault when storage cannot be read."""
    sha256, size = hashlib.sha256(), 0
    try:
        with storage.open(blob_key(digest)) as blob:
            for chunk in blob:
                sha256.update(chunk)
                size += len(chunk)
    except NotFound:
        return {"digest": digest, "what": "missing", "bytes": 0}
    return None if sha256.hexdigest() == digest else {"digest": digest, "what": "damaged", "bytes": size}


def main() -> int:
    os.nice(10)
    question = json.load(sys.stdin)
    try:
        storage = open_storage(question["storage_url"])
        found = [judge(storage, digest) for digest in question["digests"]]
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump([each for each in found if each is not None], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())

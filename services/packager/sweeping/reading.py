"""Reads blobs and says which are not what their digest says: `python -m services.packager.sweeping.reading`.

JSON lines. In: {"storage_url", "digests"}. Out: {"answer": [{"digest", "what": "missing" or "damaged", "bytes"}]}, or
{"fault": "..."} when storage cannot be read.
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


def main() -> None:
    os.nice(10)
    for line in sys.stdin:
        question = json.loads(line)
        try:
            storage = open_storage(question["storage_url"])
            found = [judge(storage, digest) for digest in question["digests"]]
            said: dict[str, Any] = {"answer": [each for each in found if each is not None]}
        except CondariumError as error:
            said = {"fault": str(error)}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

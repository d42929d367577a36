"""python -m deploy.base_image DIRECTORY [--architecture amd64] [--from IMAGE]"""

import argparse
import sys
from pathlib import Path

from condarium.conda.base_image import StoredBase, import_base
from condarium.errors import CondariumError
from deploy.base_image.make import make_base
from deploy.base_image.packages import BaseProblem


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.base_image", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the base image is kept, as an OCI image layout")
    parser.add_argument("--architecture", help="amd64, arm64, ... (default: this machine's)")
    parser.add_argument(
        "--from", dest="source", type=Path, help="a saved image to take: an OCI layout, its tar, or a `docker save` tar"
    )
    arguments = parser.parse_args()
    try:
        base: StoredBase
        if arguments.source:
            base = import_base(arguments.source, arguments.directory, arguments.architecture)
        else:
            base = make_base(arguments.directory, arguments.architecture)
    except (BaseProblem, CondariumError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    for layer in base.image.layers:
        print(f"sha256:{layer.digest}  {layer.size / 1e6:.1f} MB  {layer.note[:80]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

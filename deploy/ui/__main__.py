"""python -m deploy.ui DIRECTORY: fetch the web UI from its npm package into a directory (setting CONDARIUM_UI)."""

import argparse
import sys
from pathlib import Path

from deploy.ui.fetch import PACKAGE, VERSION, UiProblem, fetch


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.ui", description=__doc__)
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    try:
        fetch(directory)
    except (UiProblem, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{PACKAGE} {VERSION} is in {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

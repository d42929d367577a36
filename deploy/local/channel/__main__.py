"""`python -m deploy.local.channel DIRECTORY [--python PREFIX ...] [--if-stale]`"""

import argparse
import os
import sys
from pathlib import Path

from deploy.local.channel import ChannelError, make_channel


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.channel", description="Make the sample channel.")
    parser.add_argument("directory", type=Path, help="where the channel goes; replaced as a whole when it is ready")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PREFIX",
        help="a CPython 3.11 to 3.13 to package, such as /usr (may be given several times; default: the running one)",
    )
    parser.add_argument(
        "--wheel", action="append", metavar="NAME==VERSION", help="these wheels, not the whole catalogue"
    )
    parser.add_argument("--if-stale", action="store_true", help="do nothing when nothing has changed")
    options = parser.parse_args()
    try:
        make_channel(
            options.directory, options.python, wheels=options.wheel, if_stale=options.if_stale, progress=_print
        )
    except ChannelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was changed", file=sys.stderr)
        return 130
    return 0


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: py-rattler's threads may still hold Python objects, and the interpreter aborts when they let go of
    # them while it shuts down ("PyGILState_Release: thread state must be current").
    os._exit(status)

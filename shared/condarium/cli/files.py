"""Files that people name on the command line."""

import sys
from pathlib import Path

from condarium.errors import InvalidInput


def read(file: Path) -> str:
    """The text of a file or of standard input. Raises InvalidInput."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None

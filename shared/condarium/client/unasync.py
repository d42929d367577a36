"""Makes `synchronous/` out of `asynchronous/`: the same methods without `await`. Run it with `make client`.

A test makes it again and compares: what stands there is never edited by hand.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOURCE, MADE = HERE / "asynchronous", HERE / "synchronous"
NOTE = "Made of `asynchronous` by `make client`: edit that."
#: in this order; all but the first two are whole words
_WORDS = {
    r"\basync (?=def |with |for )": "",
    r"\bawait ": "",
    r"\bAsyncIterator\b": "Iterator",
    r"\basynccontextmanager\b": "contextmanager",
    r"\bAsync(?=[A-Z])": "",
    r"\bAsyncBaseTransport\b": "BaseTransport",
    r"\b__aenter__\b": "__enter__",
    r"\b__aexit__\b": "__exit__",
    r"\baclose\b": "close",
    r"\baread\b": "read",
    r"\baiter_(raw|bytes|lines)\b": r"iter_\1",
    r"\basyncio\b": "time",
    r"\basynchronous\b": "synchronous",
}


def make() -> dict[str, str]:
    """The text of each file of `synchronous/` by name; needs ruff beside this Python."""
    return {path.name: _formatted(_translated(path), path.name) for path in sorted(SOURCE.glob("*.py"))}


def _translated(path: Path) -> str:
    text = path.read_text()
    if path.name == "__init__.py":
        return f'"""The client that waits. {NOTE}"""\n'
    for pattern, instead in _WORDS.items():
        text = re.sub(pattern, instead, text)
    return f"# {NOTE}\n{text}"


def _formatted(text: str, name: str) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check", "--select", "I", "--fix-only", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [ruff, *arguments, "--stdin-filename", str(MADE / name), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        text = done.stdout
    return text


def main() -> None:
    """Writes them, and takes away what has no source any more."""
    MADE.mkdir(exist_ok=True)
    made = make()
    for path in MADE.glob("*.py"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (MADE / name).write_text(text)


if __name__ == "__main__":
    main()

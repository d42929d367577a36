"""Runs the few programs that the channel is made with, and turns their failures into sentences."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.channel.problem import ChannelError


def run(arguments: Sequence[str | Path], *, wanted_for: str, package: str | None = None) -> str:
    """Run a program and return what it printed.

    Raises: ChannelError naming `wanted_for`, the program and its own last words (or `package`, the Debian package to
    install, when the program is not there).
    """
    words = [str(word) for word in arguments]
    try:
        # The C locale, so that what is parsed does not depend on the user's language.
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError as error:
        remedy = f"; install the Debian package {package}" if package else ""
        raise ChannelError(
            f"{wanted_for} needs the program {words[0]}, which is not on this machine{remedy}"
        ) from error
    except OSError as error:
        raise ChannelError(f"{wanted_for} could not start {words[0]}: {error.strerror}") from error
    if done.returncode:
        said = last_words(done.stderr or done.stdout)
        raise ChannelError(f"{wanted_for} failed: {words[0]} ended with {done.returncode}: {said}")
    return done.stdout


def last_words(text: str, lines: int = 3) -> str:
    """The last lines that say something, on one line."""
    return " / ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:]) or "no message"

"""The lines of a pip section: which are taken, and in what words the others are refused. Pure."""

import re
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from condarium.domain.credentials import has_credential

_INDEX_OPTION = re.compile(r"^(--index-url|-i|--extra-index-url|--find-links|-f)[ =]\s*(\S+)$")
_EXAMPLE = "write for example 'httpx>=0.27', 'rich[jupyter]' or 'name @ https://host/name-1.0-py3-none-any.whl'"


def check(text: str) -> None:
    """Accept a requirement (PEP 508), the address of a wheel, or an option that names an index.

    Raises:
        ValueError: a sentence that says why not, and what to write instead.
    """
    line = text.strip()
    if has_credential(line):
        raise ValueError("a pip line carries a credential in a URL; let the administrator set CONDARIUM_PIP_INDEX_URL")
    if line.startswith("-"):
        _check_option(line)
        return
    if re.match(r"^(git|hg|svn|bzr)\+", line) or re.search(r"@\s*(git|hg|svn|bzr)\+", line):
        raise ValueError(f"{line!r} is a source repository; only wheels are installed, so build one and name its URL")
    if re.match(r"^(\.{1,2}/|/|~|file:)", line) or re.search(r"@\s*file:", line):
        raise ValueError(f"{line!r} is a file of your machine, which is not here; {_EXAMPLE}")
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{line!r} is not a pip requirement: {reason}; {_EXAMPLE}") from None
    if requirement.url is not None:
        _check_url(line, requirement.url)


def _check_option(line: str) -> None:
    if line == "--pre":
        return
    if re.match(r"^(-e|--editable)\b", line):
        raise ValueError(f"{line!r} is an editable installation, which an environment for others cannot have")
    if re.match(r"^(-r|--requirement|-c|--constraint)\b", line):
        raise ValueError(f"{line!r} names a file that is not here; write its lines into the pip section")
    match = _INDEX_OPTION.match(line)
    if not match:
        raise ValueError(
            f"{line!r} is not supported in a pip section; supported are --index-url, --extra-index-url, "
            "--find-links and --pre"
        )
    if urlsplit(match.group(2)).scheme not in ("http", "https"):
        raise ValueError(f"{line!r} must name an http or https URL")


def _check_url(line: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{line!r} must name an http or https URL")
    if not parts.path.endswith(".whl"):
        raise ValueError(f"{line!r} is not a wheel; only wheels (.whl) are installed, building others is off")

"""Reads what a wheel says about itself: names, requirements, entry points, licence; and says it in conda's terms."""

import configparser
import re
from collections.abc import Mapping
from email.message import Message
from email.parser import HeaderParser
from types import MappingProxyType

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name

from deploy.local.channel.problem import ChannelError

# Where conda-forge's name differs from PyPI's. The first ones are not a matter of taste: `tzdata` is the time zones,
# and `docker`, `redis`, `build` are other programs there.
CONDA_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "tzdata": "python-tzdata",
        "build": "python-build",
        "docker": "docker-py",
        "redis": "redis-py",
        "graphviz": "python-graphviz",
        "msgpack": "msgpack-python",
        "typing-extensions": "typing_extensions",
        "prometheus-client": "prometheus_client",
        "stack-data": "stack_data",
        "pure-eval": "pure_eval",
        "ipython-pygments-lexers": "ipython_pygments_lexers",
        "matplotlib-inline": "matplotlib-inline",
        "ruamel-yaml": "ruamel.yaml",
        "ruamel-yaml-clib": "ruamel.yaml.clib",
    }
)

# Wheels that only bring the text of their licence.
_SILENT: Mapping[str, str] = MappingProxyType({"ujson": "BSD-3-Clause", "matplotlib-inline": "BSD-3-Clause"})

# CPython versions that requirements of pure packages are evaluated for: one noarch package must do for all.
_MICRO = "9"
_TROVE = "License :: OSI Approved :: "
_TROVE_LICENCES: Mapping[str, str] = MappingProxyType(
    {
        "MIT License": "MIT",
        "BSD License": "BSD-3-Clause",
        "Apache Software License": "Apache-2.0",
        "Python Software Foundation License": "PSF-2.0",
        "ISC License (ISCL)": "ISC",
        "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    }
)


def conda_name(name: str) -> str:
    """The conda package's name for a PyPI project: `PyYAML` -> `pyyaml`, `msgpack` -> `msgpack-python`."""
    plain = canonicalize_name(name)
    return CONDA_NAMES.get(plain, plain)


def parse(text: str) -> Message:
    return HeaderParser().parsestr(text)


def requirements(metadata: Message, minors: tuple[str, ...]) -> set[str]:
    """The match specs of what a wheel requires on Linux with any of the CPython `minors` ("3.11").

    Extras are left out: conda has none, and conda-forge's recipes leave them out too.
    """
    specs: set[str] = set()
    for line in metadata.get_all("Requires-Dist") or []:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate(_environment(minor)) for minor in minors):
            specs.add(match_spec(requirement))
    return specs


def match_spec(requirement: Requirement) -> str:
    """`numpy~=1.26,!=1.26.1` -> `numpy !=1.26.1,>=1.26,1.*`"""
    if requirement.url:
        raise ChannelError(f"the requirement {requirement} points to a URL; a channel's package cannot")
    return f"{conda_name(requirement.name)} {version_spec(requirement.specifier)}".strip()


def version_spec(specifiers: SpecifierSet) -> str:
    return ",".join(sorted(part for specifier in specifiers for part in _parts(specifier)))


def python_spec(metadata: Message) -> str:
    """`Requires-Python: >=3.9` -> `python >=3.9`"""
    asked = metadata.get("Requires-Python", "") or ">=3.8"
    return f"python {version_spec(SpecifierSet(asked.strip().rstrip(',')))}"


def entry_points(text: str) -> tuple[str, ...]:
    """The commands of an entry_points.txt, as conda writes them: `flask = flask.cli:main`"""
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the names of commands keep their case
    parser.read_string(text)
    found: list[str] = []
    for section in ("console_scripts", "gui_scripts"):
        if parser.has_section(section):
            for command, target in parser.items(section):
                found.append(f"{command.strip()} = {target.partition('[')[0].strip()}")
    return tuple(sorted(found))


def licence(metadata: Message) -> str:
    """The licence in SPDX's words where the wheel or its classifiers say so, else its own first line."""
    expression = (metadata.get("License-Expression") or "").strip()
    if expression:
        return expression
    for classifier in metadata.get_all("Classifier") or []:
        if classifier.startswith(_TROVE):
            name = classifier.removeprefix(_TROVE)
            return _TROVE_LICENCES.get(name, name)
    own = (metadata.get("License") or "").strip().splitlines()
    if own and len(own[0]) < 60:
        return own[0].strip()
    return _SILENT.get(canonicalize_name(metadata.get("Name") or ""), "")


def home(metadata: Message) -> str:
    links = [line.partition(",") for line in metadata.get_all("Project-URL") or []]
    named = {label.strip().lower(): url.strip() for label, _, url in links}
    choices = [named.get(label, "") for label in ("homepage", "home", "repository", "source", "documentation")]
    return next((url for url in [(metadata.get("Home-page") or "").strip(), *choices] if url.startswith("http")), "")


def _parts(specifier: Specifier) -> list[str]:
    operator, version = specifier.operator, specifier.version
    if operator == "~=":
        return [f">={version}", ".".join(version.split(".")[:-1]) + ".*"]
    if operator in ("==", "===") and version.endswith(".*"):
        return [version]
    return [("==" if operator == "===" else operator) + version]


def _environment(minor: str) -> dict[str, str]:
    # Not this machine's: the result must not depend on the interpreter that makes the channel.
    environment: Environment = default_environment()
    return {
        **{key: str(value) for key, value in environment.items()},
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": f"{minor}.{_MICRO}",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_version": "",
        "python_version": minor,
        "python_full_version": re.sub(r"$", f".{_MICRO}", minor),
    }

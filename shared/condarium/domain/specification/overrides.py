"""CONDA_OVERRIDE_* variables: the virtual packages that an environment is solved for.

They say what the machine that runs the environment has; the builder's own machine is never asked.
"""

import re
from collections.abc import Iterable, Mapping

PREFIX = "CONDA_OVERRIDE_"

_VERSION = re.compile(r"[0-9]+(?:[._][0-9A-Za-z]+){0,10}\Z")
_ARCHSPEC = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")

# variable -> (virtual package, prefixes of the platforms that it is about)
KNOWN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "CONDA_OVERRIDE_ARCHSPEC": ("__archspec", ("",)),
    "CONDA_OVERRIDE_CUDA": ("__cuda", ("linux-", "win-")),
    "CONDA_OVERRIDE_GLIBC": ("__glibc", ("linux-",)),
    "CONDA_OVERRIDE_LINUX": ("__linux", ("linux-",)),
    "CONDA_OVERRIDE_OSX": ("__osx", ("osx-",)),
    "CONDA_OVERRIDE_WIN": ("__win", ("win-",)),
}


def problem_of(name: str, value: str) -> str | None:
    """What is wrong with an override, or None; an empty value says that the virtual package is not there."""
    if name not in KNOWN:
        return f"found {name}; allowed are {', '.join(sorted(KNOWN))}"
    if not value:
        return None
    if name == "CONDA_OVERRIDE_ARCHSPEC":
        return None if _ARCHSPEC.match(value) else "found no microarchitecture; write one such as x86_64_v3"
    return None if _VERSION.match(value) else "found no version; write one such as 2.28, or '' for none"


def apply_overrides(overrides: Mapping[str, str], platform: str, defaults: Iterable[str]) -> tuple[str, ...]:
    """The virtual packages of `platform`, sorted, each `name=version=build`: the settings' defaults, overridden."""
    packages = {text.split("=", 1)[0]: text for text in defaults}
    for variable, value in overrides.items():
        package, platforms = KNOWN[variable]
        if not platform.startswith(platforms):
            continue
        packages.pop(package, None)
        if value:
            packages[package] = f"{package}=1={value}" if package == "__archspec" else f"{package}={value}=0"
    return tuple(sorted(packages.values()))

"""Match specs: what stands in the `dependencies` of an environment.yml. No I/O: may be used anywhere.

py-rattler's parser is the judge; a few forms that it reads in a way that nobody means are refused here.
"""

import re

from rattler import Channel, MatchSpec
from rattler.exceptions import InvalidMatchSpecError

from condarium.domain.policy import Wanted

_LOOKS_LIKE_PIP = re.compile(r"^(-|\.{0,2}/|git\+|[a-z]+://\S+\.(whl|zip|tar\.gz)$)")


def check(text: str) -> None:
    """Accept every form of a match spec.

    Raises:
        ValueError: a sentence that says what is wrong with it and what a right one looks like.
    """
    parse(text)


def parse(text: str) -> MatchSpec:
    """`text` as py-rattler's match spec; raises ValueError as `check` does."""
    if not text.strip():
        raise ValueError("an empty dependency; write a package, such as numpy or numpy>=2")
    if _LOOKS_LIKE_PIP.match(text.strip()):
        raise ValueError(f"{text!r} is not a conda package; what pip installs belongs under a '- pip:' entry")
    try:
        spec = MatchSpec(text)
    except InvalidMatchSpecError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{text!r} is not a match spec: {reason}; write for example numpy, numpy=1.26, 'numpy>=1,<2' "
            "or conda-forge::numpy"
        ) from None
    build = spec.build
    if build is not None and (build.startswith(";") or re.search(r"\s", build)):
        raise ValueError(
            f"{text!r} is not a match spec: after name, version and build nothing more may follow "
            f"(found {build!r}); write several versions with commas, and no pip markers"
        )
    return spec


def normalise(text: str) -> str:
    """One spelling for each meaning, as in conda-meta's requested_specs: `numpy=1.26` -> `numpy 1.26.*`."""
    return str(parse(text))


def name_of(text: str) -> str:
    """The normalised (lower-case) package name that `text` asks for; raises ValueError as `check` does."""
    name = parse(text).name.as_package_name()
    if name is None:
        raise ValueError(f"{text!r} names no package")
    return str(name.normalized)


def channel_of(spec: MatchSpec) -> str | None:
    """The channel in `spec` as it was written (a name or a URL without trailing slash), or None."""
    channel: Channel | None = spec.channel
    if channel is None:
        return None
    match = re.search(r'channel="([^"]*)"', spec.to_canonical_string())
    return match.group(1).rstrip("/") if match else str(channel.base_url).rstrip("/")


def wanted(text: str) -> Wanted:
    """What a checked match spec is about, as the solver will read it."""
    spec = parse(text)
    name = spec.name.as_package_name()
    url = re.search(r'url="([^"]*)"', spec.to_canonical_string())
    return Wanted(str(name.normalized) if name else None, channel_of(spec), url.group(1) if url else None)


def with_channel(spec: MatchSpec, url: str) -> MatchSpec:
    """`spec` bound to the channel at `url` instead of the one that it names."""
    return MatchSpec(re.sub(r'channel="[^"]*"', f'channel="{url}"', spec.to_canonical_string()))

"""Which packages share an image layer, and in which order the layers lie: a pure function of the lock.

Big packages have a layer each. Small ones share layers, and which one a package is in follows from its name alone, so
that a new version of one small package changes one layer. A package is big by its own size, never by comparison, as
long as the budget lasts: two environments that share a big package then share its layer.

Layers are ordered by change rate over size: classic docker fetches everything above the first difference again, so what
is big and seldom changes lies at the bottom.
"""

import hashlib
import math

from condarium.domain.link_order import Member, link_order
from condarium.domain.lock import Lock
from condarium.errors import ConfigError

# Goes up with any change here: it is part of what decides an image.
PLAN_VERSION = 1
DEFAULT_BUDGET = 40
LARGEST_BUDGET = 100  # docker stops at 125 layers, and users add theirs
ALONE_BYTES = 1 << 20  # of the archive
_GROUPS = 8
_TOP_LAYERS = 1

# Releases a year, where they are far from the usual; only the order of layers hangs on them.
_USUAL_RATE = 6.0
_RATES = {
    "_libgcc_mutex": 0.1,
    "_openmp_mutex": 0.2,
    "bzip2": 0.5,
    "ca-certificates": 12.0,
    "cuda-version": 2.0,
    "icu": 1.0,
    "ld_impl_linux-64": 2.0,
    "libblas": 3.0,
    "libffi": 0.5,
    "libgcc": 3.0,
    "libgfortran": 3.0,
    "libopenblas": 3.0,
    "libstdcxx": 3.0,
    "libzlib": 0.5,
    "mkl": 2.0,
    "ncurses": 1.0,
    "openssl": 8.0,
    "pandas": 6.0,
    "pip": 5.0,
    "python": 8.0,
    "pytorch": 5.0,
    "readline": 0.5,
    "scipy": 5.0,
    "setuptools": 30.0,
    "tk": 0.5,
    "tzdata": 4.0,
    "xz": 2.0,
    "zlib": 0.5,
    "zstd": 1.0,
}


def plan_layers(lock: Lock, *, budget: int = DEFAULT_BUDGET, base_layers: int = 1) -> tuple[tuple[Member, ...], ...]:
    """The members of each layer between base and top layer, bottom first; each package in exactly one, none empty.

    With `base_layers` and the top layer there are `budget` layers at most. Raises ConfigError where that leaves no
    room.
    """
    slots = layer_slots(budget, base_layers)
    groups = min(_GROUPS, max(1, slots // 4))
    members = link_order(lock)
    by_size = sorted(members, key=lambda member: (-member.size, member.name))
    alone = [member for member in by_size if member.size >= ALONE_BYTES][: slots - groups]
    alone.sort(key=_order)
    shared: dict[int, list[Member]] = {}
    chosen = set(map(id, alone))
    for member in members:
        if id(member) not in chosen:
            shared.setdefault(_group(member.name, groups), []).append(member)
    return (*((member,) for member in alone), *(tuple(shared[number]) for number in sorted(shared)))


def layer_slots(budget: int, base_layers: int) -> int:
    """How many layers there are for packages."""
    if not 2 <= budget <= LARGEST_BUDGET:
        raise ConfigError(f"a budget of {budget} image layers is not possible; allowed are 2 to {LARGEST_BUDGET}")
    slots = budget - base_layers - _TOP_LAYERS
    if slots < 1:
        raise ConfigError(
            f"a base image of {base_layers} layers leaves no room for packages in a budget of {budget} layers; "
            f"raise the budget (at most {LARGEST_BUDGET}) or take a base image with fewer layers"
        )
    return slots


def _group(name: str, groups: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % groups


def _order(member: Member) -> tuple[int, str]:
    """Change rate over size in steps of two, so that a release of a slightly other size stays where it was."""
    rate = _RATES.get(member.name, _USUAL_RATE)
    return round(math.log2(rate / max(1, member.size))), member.name

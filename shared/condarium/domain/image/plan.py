"""Which packages share an image layer, and in which order the layers lie: a pure function of the lock.

Big packages have a layer each. Small ones share layers, and which one a package is in follows from itself alone, its
name and the power of two of its size, so that a new version of one small package changes one layer. A package is big by
its own size, never by comparison: two environments that share a big package then share its layer. Where an environment
has more big packages than there is room for, the bound goes up in fixed steps, and those between share middle layers,
by name.

Classic docker knows a layer by all that lies below it, and fetches everything above the first difference again. So what
every Python environment has lies at the bottom, where two of them share it; then what is big and seldom changes (change
rate over size, ascending); then the shared layers in the same order; on top what is tiny or changes often.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from condarium.domain.image.order_table import PYTHON_STACK, rate
from condarium.domain.link_order import Member, link_order
from condarium.domain.lock import Lock
from condarium.errors import ConfigError

# Goes up with any change here: with the table's version it is part of what decides an image.
PLAN_VERSION = 3
DEFAULT_BUDGET = 40
LARGEST_BUDGET = 100  # docker stops at 125 layers, and users add theirs
ALONE_BYTES = 1 << 20  # of the archive
_TOP_LAYERS = 1


@dataclass(frozen=True)
class _Sharing:
    """How many layers there are to be shared: one of the Python stack besides.

    Small packages are told apart by log2 of change rate over size, in `classes` up to _HIGHEST (changes often, or is
    tiny), each `step` wide; what lies beyond goes with the last. The lowest `halved` of them are two layers each.
    """

    least_slots: int
    middle: int
    classes: int
    step: int
    halved: int

    @property
    def small_layers(self) -> int:
        return 1 + self.classes + self.halved


_HIGHEST = -12
# Few steps, so that another base or budget seldom makes other groups.
_SHARINGS = (_Sharing(28, 8, classes=5, step=1, halved=3), _Sharing(20, 3, classes=3, step=2, halved=0))

# Of 30 names in the table six to nine are that big in a real environment.
_MOST_OF_STACK = 10

_STACK, _MIDDLE, _SMALL = range(3)


def plan_layers(lock: Lock, *, budget: int = DEFAULT_BUDGET, base_layers: int = 1) -> tuple[tuple[Member, ...], ...]:
    """The members of each layer between base and top layer, bottom first; each package in exactly one, none empty.

    With `base_layers` and the top layer there are `budget` layers at most. Raises ConfigError where that leaves no
    room.
    """
    slots = layer_slots(budget, base_layers)
    members = link_order(lock)
    sharing = next((each for each in _SHARINGS if slots >= each.least_slots), None)
    stack = _big_of_stack(members) if sharing else []
    kept = set(map(id, stack))
    others = [member for member in members if id(member) not in kept]
    bound = _bound(others, slots - len(stack), sharing)
    shared: dict[tuple[int, int], list[Member]] = {}
    for member in others:
        if member.size < bound:
            shared.setdefault(_group(member, sharing), []).append(member)
    bottom = shared.pop((_STACK, 0), [])
    alone = [member for member in others if member.size >= bound]
    return (
        *((member,) for member in sorted(stack, key=_order)),
        *([tuple(bottom)] if bottom else ()),
        *((member,) for member in sorted(alone, key=_order)),
        *(tuple(shared[number]) for number in sorted(shared)),
    )


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


def _bound(members: Sequence[Member], slots: int, sharing: _Sharing | None) -> int:
    """The size in bytes from which on a package has a layer of its own."""
    room = slots - (sharing.small_layers if sharing else 1)
    if _count(members, ALONE_BYTES) <= room:
        return ALONE_BYTES
    room -= sharing.middle if sharing else 0
    # 1, 1.125, 1.25, ... 2, 2.25, ... MiB: one big package more or less seldom moves the bound
    step = 0
    while _count(members, bound := (ALONE_BYTES << step // 8) * (8 + step % 8) // 8) > room:
        step += 1
    return bound


def _big_of_stack(members: Sequence[Member]) -> list[Member]:
    """What lies at the bottom with a layer of its own, whatever else there is."""
    found = [member for member in members if member.name in PYTHON_STACK and member.size >= ALONE_BYTES]
    return found if len(found) <= _MOST_OF_STACK else []


def _count(members: Sequence[Member], bound: int) -> int:
    return sum(member.size >= bound for member in members)


def _group(member: Member, sharing: _Sharing | None) -> tuple[int, int]:
    """The place of a shared layer, by what the package itself is."""
    if sharing is None:
        return _SMALL, 0
    if member.size >= ALONE_BYTES:
        return _MIDDLE, _hash(member.name) % sharing.middle
    if member.name in PYTHON_STACK:
        return _STACK, 0
    below = round((_HIGHEST - min(_HIGHEST, _log_rate_over_size(member))) / sharing.step)
    number = max(0, sharing.classes - 1 - below)
    half = _hash(member.name) % 2 if number < sharing.halved else 0
    return _SMALL, 2 * number + half


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _order(member: Member) -> tuple[int, str]:
    """Change rate over size in steps of two, so that a release of a slightly other size stays where it was."""
    return round(_log_rate_over_size(member)), member.name


def _log_rate_over_size(member: Member) -> float:
    return math.log2(rate(member.name) / max(1, member.size))

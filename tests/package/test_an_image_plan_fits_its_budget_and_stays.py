"""Which packages share a layer follows from the lock alone, fits the budget, and changes little when a package
changes.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condarium.domain.image.order_table import PYTHON_STACK
from condarium.domain.image.plan import ALONE_BYTES, DEFAULT_BUDGET, LARGEST_BUDGET, plan_layers
from condarium.domain.link_order import Member, link_order
from condarium.domain.lock import Lock, Record, Wheel
from condarium.errors import ConfigError
from tests.fixtures.packages import lock_of

MB = 1 << 20


def package(name: str, size: int, version: str = "1.0", depends: tuple[str, ...] = ()) -> Record:
    url = f"https://channel.example/linux-64/{name}-{version}-0.conda"
    fields = {"name": name, "version": version, "build": "0", "build_number": 0, "subdir": "linux-64", "url": url}
    return Record({**fields, "size": size, "sha256": f"{name}{version}", "depends": list(depends)})


def wheel(name: str, size: int) -> Wheel:
    return Wheel(
        name, "1.0", f"https://index.example/{name}.whl", f"wheel-{name}", size, f"{name}-1.0-py3-none-any.whl"
    )


def names(plan: tuple[tuple[Member, ...], ...]) -> list[list[str]]:
    return [[member.name for member in members] for members in plan]


def test_an_environment_of_120_packages_fits_the_default_budget() -> None:
    lock = lock_of([package(f"p{n}", (n + 1) * MB // 4) for n in range(120)])
    plan = plan_layers(lock)
    assert 1 + len(plan) + 1 <= DEFAULT_BUDGET == 40
    assert sorted(name for group in names(plan) for name in group) == sorted(record.name for record in lock.conda)
    alone = {group[0] for group in names(plan) if len(group) == 1}
    assert {f"p{n}" for n in range(104, 120)} <= alone, "the largest packages have a layer each"


members = st.tuples(st.integers(0, 400 * MB), st.booleans())


@settings(deadline=None)
@given(
    packages=st.dictionaries(st.text("abcdefghij-", min_size=1, max_size=6), members, max_size=150),
    budget=st.integers(3, LARGEST_BUDGET),
    base_layers=st.integers(0, 1),
)
def test_every_plan_is_within_budget_and_has_each_package_once(
    packages: dict[str, tuple[int, bool]], budget: int, base_layers: int
) -> None:
    records = [package(name, size) for name, (size, is_wheel) in packages.items() if not is_wheel]
    wheels = [wheel(name, size) for name, (size, is_wheel) in packages.items() if is_wheel]
    plan = plan_layers(lock_of(records, wheels), budget=budget, base_layers=base_layers)
    assert base_layers + len(plan) + 1 <= budget
    assert all(plan)
    assert sorted(member.name for group in plan for member in group) == sorted(packages)
    shuffled = lock_of(records[::-1], wheels[::-1])
    assert names(plan_layers(shuffled, budget=budget, base_layers=base_layers)) == names(plan)


REAL = ("python", "openssl", "libffi", "tk", "setuptools", "certifi", "numpy", "mkl", "icu", "libstdcxx")
sized = st.dictionaries(
    st.sampled_from(REAL) | st.text("abcdefghij-", min_size=1, max_size=6), st.integers(0, 60 * MB), max_size=150
)


@settings(deadline=None)
@given(
    packages=sized.filter(lambda found: any(size < ALONE_BYTES for size in found.values())),
    budget=st.integers(3, LARGEST_BUDGET),
    data=st.data(),
)
def test_any_small_package_bumped_changes_the_layer_it_is_in_and_the_one_it_goes_to(
    packages: dict[str, int], budget: int, data: st.DataObject
) -> None:
    bumped = data.draw(st.sampled_from(sorted(name for name, size in packages.items() if size < ALONE_BYTES)))
    size = data.draw(st.integers(0, ALONE_BYTES - 1))
    before = plan_layers(lock_of([package(name, size) for name, size in packages.items()]), budget=budget)
    newer = [package(name, size, "2.0") if name == bumped else package(name, was) for name, was in packages.items()]
    after = plan_layers(lock_of(newer), budget=budget)
    without = [[[name for name in group if name != bumped] for group in names(plan)] for plan in (before, after)]
    assert [group for group in without[0] if group] == [group for group in without[1] if group]
    changed = [group for group in after if group not in before]
    assert sum(bumped in [member.name for member in group] for group in changed) == 1
    assert len(changed) == 1 if names(before) == names(after) else 1 <= len(changed) <= 2


@settings(deadline=None)
@given(packages=sized, more=sized, budget=st.integers(32, 90))
def test_environments_with_the_same_python_stack_share_the_bottom_of_their_chains(
    packages: dict[str, int], more: dict[str, int], budget: int
) -> None:
    stack = [package("python", 30 * MB), package("icu", 12 * MB), package("libffi", 60_000), package("tk", 3 * MB)]

    def chain(others: dict[str, int]) -> tuple[tuple[Member, ...], ...]:
        named = [package(name, size) for name, size in others.items() if name not in PYTHON_STACK]
        return plan_layers(lock_of([*stack, *named]), budget=budget)[:4]

    assert chain(packages) == chain(more)
    assert [name for group in names(chain(more)) for name in group] == ["icu", "tk", "python", "libffi"]


@pytest.mark.parametrize("base_layers", [0, 1, 5, 10])
def test_another_base_or_budget_shares_the_same_layers(base_layers: int) -> None:
    records = [package(f"p{n}", n * 60_000) for n in range(36)]
    usual = plan_layers(lock_of(records))
    for budget in (40, 60, 100):
        assert plan_layers(lock_of(records), budget=budget, base_layers=base_layers) == usual


def test_what_changes_often_or_is_tiny_is_on_top() -> None:
    small = ("certifi", "idna", "six", "setuptools", "libffi", "python_abi")
    tiny = package("tiny", 1000)
    plan = names(plan_layers(lock_of([package("numpy", 8 * MB), tiny, *(package(name, 90_000) for name in small)])))
    assert sorted(plan[-1]) == ["setuptools", "tiny"]
    assert plan[-2] == ["certifi"]
    assert plan[2] == ["six"]
    assert sorted(plan[0]) == ["libffi", "python_abi"]
    assert plan[1] == ["numpy"]


def test_a_small_package_bumped_changes_its_group_only() -> None:
    small = [package(f"small{n}", 50_000 + 3_000 * n) for n in range(60)]
    big = [package(f"big{n}", 5 * MB) for n in range(10)]
    before = plan_layers(lock_of([*small, *big]))
    after = plan_layers(lock_of([*small[1:], package("small0", 52_000, "2.0"), *big]))
    assert names(before) == names(after)
    changed = [old for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert len(changed[0]) < 30


def test_a_small_package_of_another_size_leaves_its_group_for_another() -> None:
    small = [package(f"small{n}", 20_000 + 10_000 * n) for n in range(60)]
    before = plan_layers(lock_of(small))
    after = plan_layers(lock_of([*small[1:], package("small0", 600_000, "2.0")]))
    changed = [group for group in after if group not in before]
    assert len(changed) == 2
    assert "small0" in names(changed)[0], "what has grown lies further below"


def test_a_big_package_has_the_same_layer_beside_others() -> None:
    numpy = package("numpy", 8 * MB)
    for others in (3, 30, 100):
        plan = names(plan_layers(lock_of([numpy, *(package(f"p{n}", 70_000 * n) for n in range(others))])))
        assert ["numpy"] in plan


def test_what_is_big_and_seldom_changes_lies_below() -> None:
    sizes = {"setuptools": 2, "python": 30, "scipy": 40, "libffi": 3, "mkl": 120}
    plan = names(plan_layers(lock_of([*(package(n, s * MB) for n, s in sizes.items()), package("tiny", 900)])))
    flat = [group[0] for group in plan]
    assert flat == ["libffi", "python", "mkl", "scipy", "setuptools", "tiny"]


def test_a_release_of_about_the_same_size_keeps_its_place() -> None:
    sizes = {f"p{n}": int(1.37**n * MB) for n in range(15)}
    before = names(plan_layers(lock_of([package(name, size) for name, size in sizes.items()])))
    moved = 0
    for name, size in sizes.items():
        after = names(
            plan_layers(lock_of([package(n, int(size * 1.02) if n == name else s) for n, s in sizes.items()]))
        )
        moved += after != before
    assert moved <= 2


@pytest.mark.parametrize(
    ("budget", "base_layers", "words"), [(1, 0, "1"), (101, 1, "101"), (40, 39, "39 layers"), (40, 60, "60")]
)
def test_a_budget_that_is_not_possible_is_a_sentence(budget: int, base_layers: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan_layers(lock_of([package("a", 1)]), budget=budget, base_layers=base_layers)


def test_an_empty_lock_needs_no_layer() -> None:
    assert plan_layers(lock_of([])) == ()


def order(lock: Lock) -> list[str]:
    return [member.name for member in link_order(lock)]


def test_link_order_has_dependencies_first_and_wheels_last() -> None:
    a, b, c = package("a", 1, depends=("c >=1", "gone")), package("b", 1, depends=("a",)), package("c", 1)
    assert order(lock_of([b, a, c], [wheel("z", 1), wheel("y", 1)])) == ["c", "a", "b", "y", "z"]


def test_link_order_has_everyone_of_a_circle() -> None:
    pip, python = package("pip", 1, depends=("python",)), package("python", 1, depends=("pip", "lib=1.*"))
    assert sorted(order(lock_of([pip, python, package("lib", 1)]))) == ["lib", "pip", "python"]
    assert order(lock_of([pip, python, package("lib", 1)]))[0] == "lib"

"""The name of an image by packages says which, its tag as of when; whatever is wrong is told with what to do."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condarium.conda import matchspec
from condarium.domain.naming import check_name
from condarium.domain.on_demand import is_environment, parse
from condarium.domain.on_demand.tags import Frozen, end_of, parse_tag
from condarium.domain.tags import HashPrefix, Latest
from condarium.errors import InvalidInput

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("name", "specs"),
    [
        ("python.eq.3.11/numpy.ge.2/pandas", ("numpy >=2", "pandas", "python =3.11")),
        ("pandas/numpy.ge.2/python.eq.3.11/pandas", ("numpy >=2", "pandas", "python =3.11")),
        ("python.ge.3.8.lt.3.12", ("python <3.12,>=3.8",)),
        ("python.lt.3.12/python.ge.3.8", ("python <3.12,>=3.8",)),
        ("scikit-learn/a.b", ("a.b", "scikit-learn")),
        ("numpy.ne.2.0.le.2.2.gt.1", ("numpy !=2.0,<=2.2,>1",)),
        ("openssl.eq.1--x211.1w", ("openssl =1!1.1w",)),
        ("pytorch.eq.2.5.1--x2bcu124", ("pytorch =2.5.1+cu124",)),
        ("blas.eq.3.9.--x2a", ("blas =3.9.*",)),
        ("python.ge.3.13.0rc1", ("python >=3.13.0rc1",)),
        ("x--xx5flibgcc_mutex", ("_libgcc_mutex",)),
        ("--x52-base", ("r-base",)),
    ],
)
def test_components_are_match_specs(name: str, specs: tuple[str, ...]) -> None:
    assert parse(name.split("/")).packages == specs
    for spec in specs:
        matchspec.check(spec)


def test_shell_and_arm64_come_first() -> None:
    asked = parse(["shell", "arm64", "numpy"])
    assert (asked.packages, asked.shell, asked.platform) == (("numpy",), True, "linux-aarch64")
    assert asked == parse(["arm64", "shell", "numpy"])
    names = {
        parse(name.split("/")).environment for name in ("numpy", "shell/numpy", "arm64/numpy", "arm64/shell/numpy")
    }
    assert len(names) == 4
    assert parse(["shell"]).packages == ()
    with pytest.raises(InvalidInput, match=r"'shell' is no package, and comes first in the name: dynamic/shell/"):
        parse(["numpy", "shell"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "name packages: dynamic/python.eq.3.11"),
        ("arm64", "name packages: dynamic/arm64/python.eq.3.11"),
        (".eq.3", "'.eq.3' is no package: it does not begin with a package's name"),
        ("numpy/python.eq.", "'python.eq.' is no package: '' is no version. Write a name and bounds"),
        ("numpy.ge", "'numpy.ge' is no package: a version is missing"),
        ("python.gte.3.11", "'python.gte.3.11' is no package: there is no bound .gte., did you mean .ge."),
        ("numpy.ge.2.lte.3", "there is no bound .lte., did you mean .le."),
        ("numpy.ge.2.lt", "a version is missing behind its last bound"),
        ("a--x20b", "'a--x20b' is no package"),
        ("-a", "'-a' is no package"),
        ("numpy.eq.1--x3b", "'1;' is no version"),
        ("/".join(["x"] * 51), "51 packages are too many .* at most 50 fit; submit an environment.yml"),
        ("x.ne.1.ne.2.ne.3.ne.4.ne.5.ne.6.ne.7.ne.8.ne.9", "it has 9 bounds, at most 8"),
        ("x" * 129, "it does not begin with a package's name"),
        (f"x.eq.{'1' * 65}", "is no version"),
    ],
)
def test_what_is_no_package_is_told(name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse(name.split("/") if name else [])


@given(st.lists(st.from_regex(r"[a-z0-9]{1,20}(\.(eq|ge)\.[0-9]{1,3})?", fullmatch=True), min_size=1, max_size=20))
def test_every_set_of_packages_has_a_name(components: list[str]) -> None:
    asked = parse(components)
    assert check_name("environment", asked.environment)
    assert is_environment(asked.environment)
    assert asked.environment == parse(list(reversed(components))).environment


def test_tags_are_latest_days_and_lock_hashes() -> None:
    assert parse_tag("latest", today=TODAY) == Latest()
    assert parse_tag("2026-11-20", today=TODAY) == Frozen(date(2026, 11, 20))
    assert parse_tag("2026-11-23", today=TODAY) == Frozen(TODAY)
    assert parse_tag("20261120", today=TODAY) == HashPrefix("20261120")
    assert end_of(date(2024, 2, 28)) == datetime(2024, 2, 28, 23, 59, 59, 999000, UTC)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("2026-11-24", r"a day in the future \(it is 2026-11-23 in UTC\)"),
        ("2026-02-30", "is no day of the calendar; write one such as 2026-11-23"),
        ("2026-1-5", "is no day; write it as 2026-11-23"),
        ("20-11-2026", "is no day; write it as 2026-11-23"),
        ("1999-01-01", "before there were conda packages"),
        ("g1", "there is no tag g1: an image by packages has the tags latest, a day such as 2026-11-20"),
        ("v1", "lock hash of an earlier answer"),
        ("abcdef1", "8 to 64 hex digits"),
    ],
)
def test_other_tags_are_told_what_there_is(tag: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_tag(tag, today=TODAY)

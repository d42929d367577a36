"""Why a package is in a lock, what changes between two, as people and pull requests read it."""

from condarium.cli import differences
from condarium.client.models import Changes, PinnedPackage
from condarium.client.models.solves import ChangedPackage
from condarium.domain.lock_reasons import chains, requested_name, roots

PACKAGES = {
    "numpy": ("2.1", {"python": ">=3.11", "libblas": ">=3.9"}),
    "scipy": ("1.14", {"numpy": "<3", "python": "*"}),
    "libblas": ("3.9.0", {"libgfortran": ""}),
    "libgfortran": ("14", {}),
    "python": ("3.11", {"ring": ""}),
    "ring": ("1", {"python": ""}),
    "stray": ("1", {}),
}


def names(*asked: str, wanted: str) -> list[list[str]]:
    return [[step.name for step in way] for way in chains(PACKAGES, asked, wanted)]


def test_ways_lead_from_what_was_asked_for() -> None:
    assert names("scipy", "numpy", wanted="libgfortran") == [
        ["numpy", "libblas", "libgfortran"],
        ["scipy", "numpy", "libblas", "libgfortran"],
    ]
    assert names("numpy", wanted="numpy") == [["numpy"]]
    assert names("scipy", wanted="ring") == [["scipy", "python", "ring"]]
    assert names("scipy", wanted="stray") == []
    way = chains(PACKAGES, ["scipy"], "libblas")[0]
    assert [(step.name, step.version, step.wants) for step in way] == [
        ("scipy", "1.14", "<3"),
        ("numpy", "2.1", ">=3.9"),
        ("libblas", "3.9.0", ""),
    ]


def test_what_was_asked_for_is_found_in_specs() -> None:
    specs = ["numpy >=2", "conda-forge::SciPy=1.14", "python[version='3.11']", "flask==3.0", "__cuda", "requests; x"]
    assert [requested_name(spec) for spec in specs] == ["numpy", "scipy", "python", "flask", "__cuda", "requests"]
    assert roots(PACKAGES, ["scipy >1", "gone"]) == ["scipy"]
    assert roots(PACKAGES, []) == ["scipy", "stray"]


def pinned(name: str, version: str, build: str = "0", kind: str = "conda") -> PinnedPackage:
    return PinnedPackage(name=name, kind=kind, version=version, build=build)


CHANGES = {
    "linux-64": Changes(
        added=[pinned("click", "8.1"), pinned("flask", "3.0", "", "pypi")],
        removed=[pinned("bzip2", "1.0")],
        changed=[
            ChangedPackage(name="numpy", kind="conda", before=pinned("numpy", "2.0"), after=pinned("numpy", "2.1")),
            ChangedPackage(name="zlib", kind="conda", before=pinned("zlib", "1"), after=pinned("zlib", "1", "1")),
        ],
    )
}


def test_a_difference_is_a_comment() -> None:
    text = differences.markdown("default/a", CHANGES, is_new=False, same=False)
    assert text.splitlines() == [
        "<!-- condarium: default/a -->",
        "### `default/a`: 2 added, 1 removed, 2 changed",
        "",
        "| | package | before | after |",
        "|---|---|---|---|",
        "| added | `click` |  | 8.1 |",
        "| added | `flask` (pip) |  | 3.0 |",
        "| removed | `bzip2` | 1.0 |  |",
        "| changed | `numpy` | 2.0 | 2.1 |",
        "| changed | `zlib` | 1 0 | 1 1 |",
    ]
    assert "nothing to build" in differences.markdown("a/b", {}, is_new=False, same=True)
    several = differences.markdown("a/b", CHANGES | {"linux-aarch64": CHANGES["linux-64"]}, is_new=True, same=False)
    assert "| added | `click` |  | 8.1 | linux-aarch64 |" in several
    assert "The environment is new." in several


def test_a_comment_is_never_too_long() -> None:
    many = {"linux-64": Changes(added=[pinned(f"p{n}", "1") for n in range(3000)], removed=[], changed=[])}
    text = differences.markdown("a/b", many, is_new=True, same=False)
    assert len(text) < 65_536
    assert "and 2600 more" in text

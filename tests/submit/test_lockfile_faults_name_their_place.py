"""What is wrong with a lockfile is said with the line or the field; what other tools write is read."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rattler import LockChannel, LockFile, LockPlatform

from condarium.conda import lockfiles, matchspec
from condarium.domain.lock import Lock, Record, Wheel
from condarium.domain.lockfile import CONDA, PIP, LockedSpecification, Lockfile
from condarium.domain.lockfile.reading import parse, read
from condarium.errors import SpecificationError

FORGE = "https://conda.anaconda.org/conda-forge"
SHA, MD5 = "ab" * 32, "cd" * 16
WHEEL = "https://files.example.org/flask-3.0-py3-none-any.whl"


def package(name: str = "zlib", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0",
        "manager": "conda",
        "platform": "linux-64",
        "dependencies": {},
        "url": f"{FORGE}/linux-64/{name}-1.0-0.conda",
        "hash": {"md5": MD5, "sha256": SHA},
        "category": "main",
        "optional": False,
        **more,
    }


def conda_lock(*packages: dict[str, Any], **metadata: Any) -> str:
    content = {
        "version": 1,
        "metadata": {
            "content_hash": {"linux-64": SHA},
            "channels": [{"url": "conda-forge", "used_env_vars": []}],
            "platforms": ["linux-64"],
            "sources": ["environment.yml"],
            **metadata,
        },
        "package": list(packages or [package()]),
    }
    return yaml.safe_dump(content, sort_keys=False)


def explicit(*lines: str) -> str:
    return "\n".join(["@EXPLICIT", *lines])


def pixi(version: int = 6, conda: str = f"{FORGE}/linux-64/zlib-1.0-0.conda", **about: Any) -> str:
    content = {
        "version": version,
        "environments": {"default": {"channels": [{"url": f"{FORGE}/"}], "packages": {"linux-64": [{"conda": conda}]}}},
        "packages": [{"conda": conda, "sha256": SHA, "md5": MD5, **about}],
    }
    return yaml.safe_dump(content, sort_keys=False)


def get(text: str) -> Lockfile:
    return read(text, platform="linux-64", check_match_spec=matchspec.check, local=False)


URL = f"{FORGE}/linux-64/zlib-1.0-0.conda"
FAULTS: dict[str, tuple[str, str]] = {
    "nothing": ("", "found an empty document"),
    "a list": ("- a", "a lockfile is; allowed are conda-lock"),
    "an environment.yml": ("name: a\ndependencies: [b]", "leave out is_lockfile"),
    "something else": ("a: b", "line 1: this is no lockfile that is known here"),
    "no YAML": ("version: [1", "line 1: this is not YAML"),
    "a bomb": ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(97 + i)}{chr(97 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(7)
    ), "aliases counted in full"),
    "a tag": ("version: !!python/object:os.system 1", "tags are not allowed"),
    "conda-lock 2": (conda_lock().replace("version: 1\n", "version: 2\n", 1), "found version '2' of conda-lock's"),
    "a platform": (conda_lock(package(platform="linux-65")), "platform: 'linux-65' is no platform"),
    "a platform that is not named": (
        conda_lock(package(platform="osx-arm64", url=f"{FORGE}/osx-arm64/zlib-1.0-0.conda")),
        "which metadata.platforms does not name",
    ),
    "a package for another": (conda_lock(package(url=f"{FORGE}/osx-64/zlib-1.0-0.conda")), "listed for linux-64"),
    "no packages": (conda_lock() .split("package:")[0] + "package: []\n", "names no package"),
    "a manager": (conda_lock(package(manager="npm")), "'npm' is no manager; allowed are conda and pip"),
    "no hash": (conda_lock(package(hash={})), "has no hash"),
    "no hash at all": (conda_lock({key: value for key, value in package().items() if key != "hash"}), "hash of zlib"),
    "half a hash": (conda_lock(package(hash={"sha256": "ab"})), "'ab' is no sha256; 64 hex digits are"),
    "no URL": (conda_lock(package(url=None)), "url: it is missing"),
    "another file": (conda_lock(package(url=f"{FORGE}/linux-64/xz-1.0-0.conda")), "'zlib 1.0' is not what is at"),
    "no package": (conda_lock(package(url=f"{FORGE}/linux-64/zlib.zip")), "is no conda package"),
    "a file of mine": (conda_lock(package(url="file:///home/me/linux-64/zlib-1.0-0.conda")), "is no address"),
    "another scheme": (conda_lock(package(url="ftp://example.org/c/linux-64/zlib-1.0-0.conda")), "is no address"),
    "an odd name": (conda_lock(package(url=f"{FORGE}/linux-64/..%2Fzlib-1.0-0.conda")), "is no conda package"),
    "a query": (conda_lock(package(url=f"{URL}?token=1")), "without ? and #"),
    "a password": (conda_lock(package(url=URL.replace("//", "//me:hush@"))), "CONDARIUM_CHANNEL_CREDENTIALS"),
    "a token": (conda_lock(package(url=URL.replace("conda-forge", "t/hush/private"))), "credential"),
    "a variable": (conda_lock(package(url=URL.replace("//", "//${TOKEN}@"))), "credential"),
    "a channel with one": (conda_lock(channels=[{"url": "https://me:hush@example.org/c"}]), "credential"),
    "twice": (
        conda_lock(package(), package(url=f"{FORGE}/linux-64/zlib-1.0-1.conda")),
        "zlib is there twice for linux-64 (first in line",
    ),
    "an sdist": (
        conda_lock(package("flask", manager="pip", url="https://files.example.org/flask-3.0.tar.gz")),
        "only wheels (.whl)",
    ),
    "a wheel without a name": (
        conda_lock(package("flask", manager="pip", url="https://files.example.org/flask.whl")),
        "names no wheel",
    ),
    "a wheel by md5": (conda_lock(package("flask", manager="pip", url=WHEEL, hash={"md5": MD5})), "has no sha256"),
    "our words changed": (
        conda_lock(custom_metadata={"condarium": '{"linux-64": {"variables": {"PATH": "x"}}}'}),
        "what Condarium wrote beside the packages was changed",
    ),
    "our words no match spec": (
        conda_lock(custom_metadata={"condarium": '{"linux-64": {"requested": ["a ; b"]}}'}),
        "requested",
    ),
    "our words with a password": (
        conda_lock(custom_metadata={"condarium": '{"linux-64": {"requested": ["https://me:hush@example.org/c::a"]}}'}),
        "credential",
    ),
    "our words with a token": (
        conda_lock(custom_metadata={"condarium": '{"linux-64": {"requested": ["https://example.org/t/hush/c::a"]}}'}),
        "credential",
    ),
    "a dependency with a password": (
        conda_lock(package(dependencies={"a": "@ https://me:hush@example.org/a.whl"})),
        "dependencies: found a URL with a credential",
    ),
    "nothing explicit": (explicit(), "names no package"),
    "explicit without hash": (explicit(URL), "line 2, hash: "),
    "explicit before its mark": (f"{URL}#{MD5}\n@EXPLICIT", "before @EXPLICIT"),
    "explicit with another hash": (explicit(f"{URL}#sha1:{MD5}"), "line 2: 'sha1' is no kind of hash"),
    "explicit with a short hash": (explicit(f"{URL}#abc"), "line 2, md5: 'abc' is no md5"),
    "explicit for two": (
        explicit(f"{URL}#{MD5}", f"{FORGE}/osx-64/xz-1.0-0.conda#{MD5}"),
        "line 3: 'https://conda.anaconda.org/conda-forge/osx-64/xz-1.0-0.conda' is a package for osx-64",
    ),
    "explicit with a name": (explicit("zlib=1.0"), "line 2, url: 'zlib=1.0' is no address"),
    "explicit with a password": (explicit(f"{URL.replace('//', '//me:hush@')}#{MD5}"), "line 2: found a URL with"),
    "explicit with half a character": (explicit(f"{FORGE}/linux-64/zl\ud800ib-1.0-0.conda#{MD5}"), "is no address"),
    "pixi 3": (pixi(3), "found version '3' of rattler's lockfile; allowed are 4, 5, 6, 7"),
    "pixi from a directory": (pixi(conda="./mine"), "sources that only you have"),
    "pixi without hash": (pixi(sha256=None, md5=None), "has no hash"),
    "pixi of several": (pixi().replace("  default:", "  one: {}\n  two:"), "one called default is taken"),
    "pixi of nothing": (pixi().replace("packages:\n- conda: https", "packages:\n- conda: http"), "says nothing of"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTS)
def test_the_fault_is_said_with_its_place(what: str) -> None:
    text, said = FAULTS[what]
    with pytest.raises(SpecificationError) as error:
        get(text)
    assert said in str(error.value)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"), [("", "environment_name: it is missing"), ("a b", "environment_name: 'a b'")]
)
def test_the_environment_has_to_be_named(name: str, said: str) -> None:
    with pytest.raises(SpecificationError) as error:
        parse(conda_lock(), name=name, description="", platform="linux-64", check_match_spec=matchspec.check)
    assert str(error.value).startswith(said)


def test_too_large_is_said() -> None:
    with pytest.raises(SpecificationError, match="bytes are allowed"):
        get("a: b\n" + "#" * (17 << 20))


def test_categories_and_repetition_as_conda_lock_means_them() -> None:
    found = get(
        conda_lock(package(), package(category="dev"), package("xz", category="dev"), package("bzip2", category="docs"))
    )
    assert [item.name for item in found.packages] == ["zlib", "xz"]


def test_wheels_of_conda_locks_explicit_lists() -> None:
    found = get(
        explicit(f"{URL}#{MD5}", f"# pip flask @ {WHEEL}#sha256={SHA}", f"# pip a @ {WHEEL} --hash=sha256:{SHA}")
    )
    (wheel,) = found.of("linux-64", PIP)
    assert (wheel.name, wheel.version, wheel.sha256, wheel.url) == ("flask", "3.0", SHA, WHEEL)


def test_an_explicit_list_is_for_the_platform_of_its_packages() -> None:
    noarch = f"{FORGE}/noarch/tzdata-1.0-0.tar.bz2#{SHA}"
    assert get(explicit(noarch, f"{FORGE}/osx-arm64/zlib-1.0-0.conda#{MD5}")).platforms == ("osx-arm64",)
    assert get(explicit(noarch)).platforms == ("linux-64",)
    assert get("# platform: win-64\n" + explicit(noarch)).platforms == ("win-64",)


@pytest.mark.parametrize("version", [4, 5])
def test_older_locks_of_rattler(version: int) -> None:
    text = pixi(version).replace(f"- conda: {URL}\n  sha256", f"- kind: conda\n  name: zlib\n  url: {URL}\n  sha256")
    assert "kind: conda" in text
    (item,) = get(text).packages
    assert (item.name, item.sha256, item.channel) == ("zlib", SHA, FORGE)


def test_what_rattler_writes_is_read(tmp_path: Path) -> None:
    platform = LockPlatform("linux-64", virtual_packages=["__glibc=2.31=0"])
    file = LockFile([platform])
    file.set_channels("default", [LockChannel(FORGE)])
    file.add_pypi_package("default", platform, "flask", "3.0", WHEEL)
    path = tmp_path / "pixi.lock"
    file.to_path(path)
    text = path.read_text().replace("  version: '3.0'\n", f"  version: '3.0'\n  sha256: {SHA}\n")
    found = get(text)
    assert found.origins["linux-64"].virtual_packages == ("__glibc=2.31=0",)
    assert found.of("linux-64", CONDA) == []
    assert [item.name for item in found.of("linux-64", PIP)] == ["flask"]


LOCK = Lock(
    platform="linux-64",
    channels=(FORGE, "https://example.org/other"),
    virtual_packages=("__glibc=2.28=0", "__unix=0=0"),
    requested=("zlib >=1", "conda-forge::python 3.11.*"),
    conda=(
        Record(
            {
                **package(),
                "build": "0",
                "build_number": 0,
                "subdir": "linux-64",
                "sha256": SHA,
                "md5": MD5,
                "depends": ["python >=3"],
            }
        ),
    ),
    pypi=(Wheel("flask", "3.0", WHEEL, SHA, 1234, "flask-3.0-py3-none-any.whl"),),
    variables={"A": "1.10", "B": "ü\n\u2028", "C": ""},
)
WRITERS = {
    "conda-lock": lambda: lockfiles.conda_lock_yaml([LOCK]),
    "json": lambda: lockfiles.conda_lock_json([LOCK]),
    "explicit": lambda: lockfiles.explicit(LOCK),
    "pixi": lambda: lockfiles.rattler_lock([LOCK]),
}


@pytest.mark.parametrize("form", WRITERS)
def test_what_our_lockfiles_say_beside_the_packages_comes_back(form: str) -> None:
    found = get(WRITERS[form]())
    origin = found.origins["linux-64"]
    assert origin.channels == LOCK.channels
    assert origin.requested == tuple(sorted(LOCK.requested))
    assert origin.virtual_packages == LOCK.virtual_packages
    assert origin.variables == LOCK.variables
    assert origin.sizes == {"flask-3.0-py3-none-any.whl": 1234}
    # An explicit list holds no wheels; the others have them.
    assert [item.url for item in found.of("linux-64", PIP)] == ([] if form == "explicit" else [WHEEL])


@pytest.mark.parametrize("form", WRITERS)
def test_the_stored_form_is_read_back(form: str) -> None:
    specification = LockedSpecification("env", "what for", get(WRITERS[form]()))
    stored = json.loads(json.dumps(specification.to_wire()))
    again = LockedSpecification(stored["name"], stored["description"], Lockfile.from_wire(stored["lockfile"]))
    assert again.hash == specification.hash
    assert again.to_wire() == specification.to_wire()


def test_every_part_decides_the_hash() -> None:
    first = LockedSpecification("env", "", get(conda_lock()))
    others = [
        LockedSpecification("other", "", get(conda_lock())),
        LockedSpecification("env", "described", get(conda_lock())),
        LockedSpecification("env", "", get(conda_lock(package(hash={"sha256": SHA})))),
        LockedSpecification("env", "", get(conda_lock(channels=["bioconda"]))),
        LockedSpecification("env", "", get(conda_lock()), options={"link_scripts": True}),
    ]
    assert len({each.hash for each in [first, *others]}) == len(others) + 1
    assert LockedSpecification("env", "", get(conda_lock())).hash == first.hash


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.just([]), st.just({})
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inside for found in paths(item, (*path, key)))]


@given(st.data())
def test_whatever_is_changed_is_a_fault_with_a_sentence_or_a_lockfile(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([conda_lock(package(), package("xz")), pixi(), pixi(7), WRITERS["json"]()]))
    document = yaml.safe_load(text)
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(paths(document)[1:]))
        part = document
        for step in way:
            part = part[step]
        part[last] = data.draw(LEAVES)
        if not paths(document)[1:]:
            break
    with suppress(SpecificationError):
        found = get(json.dumps(document))
        assert Lockfile.from_wire(json.loads(json.dumps(found.to_wire()))).to_wire() == found.to_wire()

"""The layers of an image, over each other, are the prefix that rattler links: same paths, bytes, modes and link
targets.

Different on purpose: directory modes and file modes are 0755 and 0644 only, conda-meta tells nothing of the machine
that linked, and a file that two packages have is not kept a second time below `__clobbers__`.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from condarium.conda.pieces.layer import make_layer, make_top_layer
from condarium.domain.lock import Lock, Record
from tests.fixtures.environments import Environment
from tests.fixtures.packages import PLACEHOLDER, Put, archive_of, lock_of, make_package
from tests.fixtures.rattler_install import install_packages, prefix_tree, tar_tree, without_machine_traces

OLD_PLACEHOLDER = "/opt/" + "".join(f"anaconda{n}" for n in (1, 2, 3))


def layers(lock: Lock, records: Sequence[Record], directory: Path, prefix: str = "/opt/env") -> list[Path]:
    paths = []
    for record in records:
        path = directory / f"{record.name}.tar.gz"
        with path.open("wb") as sink:
            make_layer(lock, [record], {record.sha256: archive_of(record)}, sink=sink, prefix=prefix)
        paths.append(path)
    return paths


def assert_same(records: Sequence[Record], tmp_path: Path, prefix: str = "/opt/env") -> None:
    """Layers of `records` against rattler's install of the same archives, conda-meta included."""
    facts = install_packages([archive_of(record) for record in records], tmp_path / "prefix", as_prefix=prefix)
    seen = [Record(fact) for fact in facts]
    tars = layers(lock_of(seen), seen, tmp_path, prefix)
    expected = without_machine_traces(prefix_tree(tmp_path / "prefix"))
    found = tar_tree(tars, prefix.strip("/"))
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []


def text(data: str, **options: str | int) -> dict[str, object]:
    return {"data": data.encode(), "placeholder": PLACEHOLDER, "file_mode": "text", **options}


def test_a_real_environment(science: Environment, tmp_path: Path) -> None:
    archives = [science.archives[record.sha256] for record in science.lock.conda]
    facts = install_packages(archives, tmp_path / "prefix", as_prefix="/opt/env")
    seen = [Record(fact) for fact in facts]
    found = tar_tree(layers(lock_of(seen), seen, tmp_path), "opt/env")
    expected = without_machine_traces(prefix_tree(tmp_path / "prefix"))
    assert len(expected) > 4000
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_every_kind_of_path(tmp_path: Path, suffix: str) -> None:
    puts = [
        Put("lib/plain.txt", b"plain", 0o600),
        Put("bin/tool", b"\x7fELF", 0o4755),
        Put("lib/link", link="plain.txt"),
        Put("share/far", link="../lib/plain.txt"),
        Put("lib/hard", hard_link="lib/plain.txt"),
        Put("lib/copied", link="plain.txt", no_link=True),
        Put("lib/copied-file", b"x", no_link=True),
        Put("lib/name with spaces é.txt", b""),
        Put("lib/" + "long/" * 30 + "name", b"deep"),
        Put("lib/unlisted", b"not linked", is_listed=False),
        Put("a-b/x", b"1"),
        Put("a/x", b"2"),
        Put("a.b/x", b"3"),
    ]
    assert_same([make_package(tmp_path, "kinds", puts, suffix=suffix)], tmp_path)


@pytest.mark.parametrize("prefix", ["/opt/env", "/opt/with space/env", "/opt/" + "long" * 40])
def test_prefixes_in_scripts(tmp_path: Path, prefix: str) -> None:
    python, perl = f"#!{PLACEHOLDER}/bin/python", f"#!{PLACEHOLDER}/bin/perl"
    scripts = {
        "python": f"{python}\nprint('{PLACEHOLDER}/x')\n",
        "options": f"{python}3.11 -E -s\nrest\n",
        "no-newline": python,
        "perl": f"{perl} -w\n{PLACEHOLDER}{PLACEHOLDER}",
        "space": f"#! {PLACEHOLDER}/bin/sh\n",
        "elsewhere": f"#!/bin/sh\n{PLACEHOLDER}\n",
        "second": f"#!/usr/bin/env x {PLACEHOLDER}\r\n{PLACEHOLDER}\r\n",
        "none": "#!/bin/sh\necho\n",
        "text": f"prefix={PLACEHOLDER}\n#!{PLACEHOLDER}/bin/python",
        "empty": "",
    }
    puts = [Put(f"bin/{name}", mode=0o755, **text(script)) for name, script in scripts.items()]  # type: ignore[arg-type]
    puts.append(
        Put("bin/bytes", b"#!\xff" + PLACEHOLDER.encode() + b"\n\xfe", placeholder=PLACEHOLDER, file_mode="text")
    )
    assert_same([make_package(tmp_path, "scripts", puts)], tmp_path, prefix)


def random_content(random_: random.Random, placeholder: str) -> bytes:
    """Placeholders in all encodings between zeros, text and noise, as odd as chance makes them."""
    pieces = []
    for _ in range(random_.randrange(1, 12)):
        encoding = random_.choice(["utf-8", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
        pieces.append(
            random_.choice(
                [
                    placeholder.encode(encoding),
                    f"{placeholder}/lib:{placeholder}".encode(encoding),
                    bytes(random_.randrange(1, 9)),
                    "/lib/x\n".encode(encoding),
                    random_.randbytes(random_.randrange(1, 40)),
                    placeholder.encode()[: random_.randrange(len(placeholder))],
                ]
            )
        )
    return b"".join(pieces)


@pytest.mark.parametrize("mode", ["text", "binary"])
def test_prefixes_in_all_encodings_and_odd_places(tmp_path: Path, mode: str) -> None:
    random_ = random.Random(20)
    puts = []
    for number in range(400):
        placeholder = random_.choice([PLACEHOLDER, "/opt/aaaa/aaaa/aa", "/x/ababababababab"])
        start = random_.choice([b"", b"#!", b"#!/" if mode == "text" else b""])
        data = start + random_content(random_, placeholder)
        puts.append(Put(f"lib/{number}", data, placeholder=placeholder, file_mode=mode))
    assert_same([make_package(tmp_path, "encodings", puts)], tmp_path)


def test_a_package_of_the_time_before_paths_json(tmp_path: Path) -> None:
    placeholder = "/opt/an old build"
    puts = [
        Put("lib/text", f"a {OLD_PLACEHOLDER}/lib\n".encode()),
        Put("lib/quoted name", f"{placeholder}/x".encode()),
        Put("lib/binary", b"\0" + placeholder.encode() + b"/lib\0tail", 0o755),
        Put("lib/link", link="text"),
        Put("lib/copied", b"copied"),
    ]
    info = {
        "paths.json": None,
        "files": "".join(f"{put.path}\n" for put in puts).encode(),
        "has_prefix": f'lib/text\n"{placeholder}" text "lib/quoted name"\n"{placeholder}" binary lib/binary\n'.encode(),
        "no_link": b"lib/copied\n",
    }
    assert_same([make_package(tmp_path, "old", puts, info=info, suffix=".tar.bz2")], tmp_path)


@pytest.mark.parametrize("prefix", ["/opt/env", "/opt/with space/env", "/opt/" + "long" * 40])
@pytest.mark.parametrize("site_packages", [None, "lib/python3.13t/site-packages"])
def test_noarch_python(tmp_path: Path, prefix: str, site_packages: str | None) -> None:
    raw = {"python_site_packages_path": site_packages} if site_packages else {}
    info = {} if site_packages is None else {"index.json": _python_index(site_packages)}
    python = make_package(tmp_path, "python", [Put("bin/python3.13", b"", 0o755)], version="3.13.1", info=info, raw=raw)
    puts = [
        Put("site-packages/thing/__init__.py", b"x = 1\n"),
        Put("site-packages/thing-1.0.dist-info/METADATA", b""),
        Put("python-scripts/thing-script", mode=0o755, **text(f"#!{PLACEHOLDER}/bin/python\n")),  # type: ignore[arg-type]
        Put("share/thing", b""),
    ]
    points = ["thing = thing.cli:main", "thing-b=thing:Cls.method", "a.b = a:b"]
    thing = make_package(tmp_path, "thing", puts, noarch="python", entry_points=points, depends=["python"])
    assert_same([python, thing], tmp_path, prefix)


def _python_index(site_packages: str) -> bytes:
    import json

    index = {
        "name": "python",
        "version": "3.13.1",
        "build": "0",
        "build_number": 0,
        "depends": [],
        "subdir": "linux-64",
    }
    return json.dumps({**index, "python_site_packages_path": site_packages}).encode()


@pytest.mark.parametrize(
    "depends", [{}, {"a": ["c"]}, {"c": ["a"], "b": ["a"]}, {"a": ["b"], "b": ["c"]}, {"b": ["c >=1", "a=1.0"]}]
)
def test_of_a_path_that_packages_share_the_same_ones_stays(tmp_path: Path, depends: dict[str, list[str]]) -> None:
    records = [
        make_package(
            tmp_path, name, [Put("lib/shared", name.encode()), Put(f"lib/{name}")], depends=depends.get(name, [])
        )
        for name in "abc"
    ]
    install_packages([archive_of(record) for record in records], tmp_path / "prefix")
    lock = lock_of(records)
    with (tmp_path / "group.tar.gz").open("wb") as sink:
        make_layer(lock, records, {record.sha256: archive_of(record) for record in records}, sink=sink)
    found = tar_tree([tmp_path / "group.tar.gz"], "opt/env")
    assert found["lib/shared"] == prefix_tree(tmp_path / "prefix")["lib/shared"]


def test_a_group_is_its_members_with_each_directory_once(tmp_path: Path) -> None:
    import tarfile

    records = [make_package(tmp_path, name, [Put(f"lib/{name}/x", name.encode())]) for name in ("one", "two", "three")]
    archives = {record.sha256: archive_of(record) for record in records}
    with (tmp_path / "group.tar.gz").open("wb") as sink:
        make_layer(lock_of(records), records, archives, sink=sink)
    singles = layers(lock_of(records), records, tmp_path)
    assert tar_tree([tmp_path / "group.tar.gz"], "opt/env") == tar_tree(singles, "opt/env")
    with tarfile.open(tmp_path / "group.tar.gz") as tar:
        names = tar.getnames()
    assert names == sorted(set(names))
    assert names[:3] == ["opt", "opt/env", "opt/env/conda-meta"]


def test_the_top_layer_tells_conda_what_was_asked_for(tmp_path: Path) -> None:
    import json

    record = make_package(tmp_path, "one")
    lock = lock_of([record], requested=("one >=1", "it's"), variables={"B": "2", "A": "ü"})
    with (tmp_path / "top.tar.gz").open("wb") as sink:
        make_top_layer(lock, sink=sink)
    tree = tar_tree([tmp_path / "top.tar.gz"], "opt/env")
    history = tree["conda-meta/history"][0].decode()
    assert "# update specs: [\"it's\", 'one >=1']\n" in history
    assert "+https://channel.example/linux-64::one-1.0-0\n" in history
    assert json.loads(tree["conda-meta/state"][0])["env_vars"] == {"A": "ü", "B": "2"}

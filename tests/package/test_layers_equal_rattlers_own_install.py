"""The layers of an image, over each other, are the prefix that rattler links: same paths, bytes, modes and link
targets.

Different on purpose: directory modes and file modes are 0755 and 0644 only, conda-meta tells nothing of the machine
that linked, and a file that two packages have is not kept a second time below `__clobbers__`.
"""

import gzip
import hashlib
import io
import random
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard

from condarium.conda.pieces.codec import Compression
from condarium.conda.pieces.layer import LayerResult, Part, by_name, join_layers, make_layer
from condarium.conda.pieces.top_layer import make_top_layer, wrong_paths
from condarium.domain.image.plan import plan_layers
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


def piece(lock: Lock, record: Record) -> Part:
    """A package's layer, stored in memory."""
    sink = io.BytesIO()
    result = make_layer(lock, [record], {record.sha256: archive_of(record)}, sink=sink)
    data = sink.getvalue()
    return Part(lambda start, end: iter([data[start:end]]), len(data), result.head, result)


def write(path: Path, make: Callable[[BinaryIO], LayerResult]) -> Path:
    with path.open("wb") as sink:
        make(sink)
    return path


@pytest.mark.parametrize(
    "depends", [{}, {"a": ["c"]}, {"c": ["a"], "b": ["a"]}, {"a": ["b"], "b": ["c"]}, {"b": ["c >=1", "a=1.0"]}]
)
@pytest.mark.parametrize("groups", ["a b c", "c b a", "b ac", "ac b", "abc"])
def test_of_a_path_that_packages_share_the_same_ones_is_seen(
    tmp_path: Path, depends: dict[str, list[str]], groups: str
) -> None:
    puts = {
        "a": [Put("lib/shared", b"a", 0o755), Put("lib/of-two", link="a"), Put("lib/a")],
        "b": [Put("lib/shared", b"b"), Put("lib/b")],
        "c": [Put("lib/shared", link="c"), Put("lib/of-two", b"c"), Put("lib/c")],
    }
    records = {name: make_package(tmp_path, name, puts[name], depends=depends.get(name, [])) for name in "abc"}
    install_packages([archive_of(record) for record in records.values()], tmp_path / "prefix", as_prefix="/opt/env")
    lock = lock_of(list(records.values()))
    parts = {name: piece(lock, record) for name, record in records.items()}
    layers = [[records[name] for name in names] for names in groups.split()]
    archives = {record.sha256: archive_of(record) for record in records.values()}
    tars = [
        write(tmp_path / f"{number}.tar.gz", lambda sink, group=group: make_layer(lock, group, archives, sink=sink))  # type: ignore[misc]
        for number, group in enumerate(layers)
    ]
    wrong = wrong_paths(
        lock, layers, [[parts[member.name].result.paths for member in by_name(group)] for group in layers]
    )
    corrections = [(parts[member.name], paths) for member, paths in wrong]
    tars.append(write(tmp_path / "top.tar.gz", lambda sink: make_top_layer(lock, sink=sink, corrections=corrections)))
    found, expected = tar_tree(tars, "opt/env"), prefix_tree(tmp_path / "prefix")
    assert {path: found[path] for path in ("lib/shared", "lib/of-two")} == {
        path: expected[path] for path in ("lib/shared", "lib/of-two")
    }
    assert {path for path in found if path.startswith("lib")} == {path for path in expected if path.startswith("lib")}


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_group_is_the_bytes_of_its_members_with_each_directory_once(tmp_path: Path, compression: Compression) -> None:
    records = [make_package(tmp_path, name, [Put(f"lib/{name}/x", name.encode())]) for name in ("one", "two", "three")]
    lock, parts, singles = lock_of(records), [], []
    for record in by_name(records):
        sink = io.BytesIO()
        archives = {record.sha256: archive_of(record)}
        result = make_layer(lock, [record], archives, sink=sink, compression=compression)
        data = sink.getvalue()
        parts.append(Part(lambda start, end, data=data: iter([data[start:end]]), len(data), result.head, result))  # type: ignore[misc]
        singles.append(plain(data, tmp_path / f"{record.name}.tar"))
    sink = io.BytesIO()
    result = join_layers(parts, sink=sink, compression=compression)
    group = plain(sink.getvalue(), tmp_path / "group.tar")
    assert tar_tree([group], "opt/env") == tar_tree(singles, "opt/env")
    with tarfile.open(group) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert names[:4] == ["opt", "opt/env", "opt/env/conda-meta", "opt/env/lib"]
    assert result.diff_id == hashlib.sha256(group.read_bytes()).hexdigest()
    assert result.digest == hashlib.sha256(sink.getvalue()).hexdigest()
    assert (result.size, result.raw_size) == (len(sink.getvalue()), group.stat().st_size)
    for part in parts:
        body = b"".join(part.open(part.head, part.size))
        assert body[:-100] in sink.getvalue()
    assert result.paths == b"".join(part.result.paths for part in parts)


def plain(data: bytes, path: Path) -> Path:
    """The tar in `data`, whatever packed it."""
    if data[:2] == b"\x1f\x8b":
        path.write_bytes(gzip.decompress(data))
    else:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
            path.write_bytes(stream.read())
    return path


def test_the_layers_of_groups_of_a_real_environment(science: Environment, tmp_path: Path) -> None:
    """As an image has them: big packages alone, small ones joined out of their pieces."""
    archives = [science.archives[record.sha256] for record in science.lock.conda]
    facts = install_packages(archives, tmp_path / "prefix", as_prefix="/opt/env")
    lock = lock_of([Record(fact) for fact in facts])
    groups = plan_layers(lock, budget=12)
    assert max(map(len, groups)) > 3
    tars, tables = [], []
    for number, group in enumerate(groups):
        parts = [piece(lock, member) for member in by_name(group)]  # type: ignore[arg-type]
        tars.append(write(tmp_path / f"{number}.tar.gz", lambda sink, parts=parts: join_layers(parts, sink=sink)))  # type: ignore[misc]
        tables.append([part.result.paths for part in parts])
    assert wrong_paths(lock, groups, tables) == []
    expected = without_machine_traces(prefix_tree(tmp_path / "prefix"))
    found = tar_tree(tars, "opt/env")
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []


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

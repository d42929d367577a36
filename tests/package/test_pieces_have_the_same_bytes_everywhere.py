"""A layer and a member depend on their key only: not on the run, the user, the umask, the order, how bytes arrive."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condarium.conda.pieces.codec import BLOCK_BYTES, Codec, codec, compressed, test_vector
from condarium.conda.pieces.layer import layer_key, make_layer
from condarium.conda.pieces.member import make_member, make_top_member, member_key
from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Literal
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, PackedStream, tar_chunks
from condarium.conda.pieces.top_layer import make_top_layer, top_layer_key
from condarium.domain.lock import Lock, Record
from tests.fixtures.packages import Put, archive_of, lock_of, make_package, make_wheel, python_record

ROOT = Path(__file__).parents[2]
vector = test_vector
del test_vector  # pytest would take it for a test

# Made once and compared for ever: a change of these digests is a change of format, and LAYER_FORMAT or MEMBER_FORMAT
# goes up.
GOLDEN = {
    "layer tar": "8dba0d58fb6638609dbf9856fdf6752d0337ad8d5cb345ce1e149497699a313c",
    "layer gzip": "ee40b22b39cfe19c191900a0b088362a6df28a3731977bf578130d57beee90b8",
    "member tar": "4029abffd8d68918ae398981f886d7ec0ca49cba2838635039cf1576af4e27ab",
    "member gzip": "84d70dbd16e037b0b1362bf45316bc803a75ea642d6349b7ad331e648e88daeb",
}


class Nowhere:
    def write(self, data: bytes) -> None:
        pass


def digests(directory: Path) -> list[str]:
    """Of every kind of piece of the lock in `directory`, in both compressions."""
    lock = Lock.from_json(json.loads((directory / "lock.json").read_text()))
    members = [member for member in (*lock.conda, *lock.pypi) if archive_of(member).exists()]
    archives = {member.sha256: archive_of(member) for member in members}
    found = []
    for compression in ("gzip", "zstd"):
        found.append(make_layer(lock, members, archives, sink=Nowhere(), compression=compression).digest)
        found.append(make_top_layer(lock, sink=Nowhere(), compression=compression).digest)
        for member in members:
            archive = archives[member.sha256]
            found.append(make_member(lock, member, archive, sink=Nowhere(), compression=compression).digest)
    return found


# Everything is imported (and tried) before the user changes: the other one may not be able to read the interpreter.
CHILD = """
import json, os, sys
from pathlib import Path
from tests.package.test_pieces_have_the_same_bytes_everywhere import digests
directory, user = Path(sys.argv[1]), int(sys.argv[2])
if user:
    digests(directory)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
print(json.dumps(digests(directory)))
"""


def sample(directory: Path) -> Lock:
    """A small environment with a package of every kind, the same bytes whoever makes it."""
    binary = make_package(
        directory, "binary", [Put("lib/x.so", bytes(range(256)) * 9000, 0o755), Put("lib/x", link="x.so")]
    )
    noarch = make_package(
        directory,
        "pure",
        [Put("site-packages/pure.py", b"x = 1\n" * 99)],
        noarch="python",
        entry_points=["pure = pure:x"],
    )
    wheel = make_wheel(directory, "wheely", {"wheely.py": b"y = 2\n"}, entry_points="[console_scripts]\nw = wheely:y\n")
    return lock_of([binary, noarch, python_record()], [wheel], variables={"A": "1"}, requested=("pure",))


def digests_in_child(directory: Path, umask: int, user: int = 0, **environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(directory), str(user)],
        env={"PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}", **environ},
        capture_output=True,
        text=True,
        umask=umask,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    parsed: list[str] = json.loads(done.stdout)
    return parsed


def test_two_runs_umask_time_zone_and_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text(json.dumps(sample(tmp_path).to_json()))
    first = digests_in_child(tmp_path, 0o022, PYTHONHASHSEED="1", TZ="UTC")
    assert digests_in_child(tmp_path, 0o077, PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C") == first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_two_users() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "lock.json").write_text(json.dumps(sample(directory).to_json()))
        assert digests_in_child(directory, 0o077, user=65534) == digests_in_child(directory, 0o022)


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_bytes_are_those_of_the_format(tmp_path: Path, kind: str) -> None:
    record = sample(tmp_path).conda[0]
    # The archive's own digests hang on the zlib and zstd that packed it here; what is laid does not.
    fixed = {
        "url": "https://channel.example/linux-64/binary-1.0-0.conda",
        "sha256": "1" * 64,
        "md5": "2" * 32,
        "size": 3,
    }
    lock = lock_of([Record({**record.raw, **fixed})])
    sink = io.BytesIO()
    if kind.startswith("layer"):
        make_layer(lock, lock.conda, {"1" * 64: archive_of(record)}, sink=sink)
    else:
        make_member(lock, lock.conda[0], archive_of(record), sink=sink)
    data = gzip.decompress(sink.getvalue()) if kind.endswith("tar") else sink.getvalue()
    assert hashlib.sha256(data).hexdigest() == GOLDEN[kind]


def test_what_is_told_is_what_is_written(tmp_path: Path) -> None:
    lock = sample(tmp_path)
    members = [*lock.conda[:2], *lock.pypi]
    sink = io.BytesIO()
    result = make_layer(lock, members, {m.sha256: archive_of(m) for m in members}, sink=sink)
    raw = gzip.decompress(sink.getvalue())
    assert result.digest == hashlib.sha256(sink.getvalue()).hexdigest()
    assert result.diff_id == hashlib.sha256(raw).hexdigest()
    assert (result.size, result.raw_size) == (len(sink.getvalue()), len(raw))


laid_items = st.lists(
    st.builds(
        Laid,
        path=st.lists(st.sampled_from(["a", "b", "a-b", "ä", "x" * 120]), min_size=1, max_size=4).map("/".join),
        content=st.one_of(st.none(), st.binary(max_size=1500).map(Literal)),
        executable=st.booleans(),
        target=st.none(),
    ),
    max_size=12,
    unique_by=lambda item: item.path,
)


def no_file_is_a_parent(items: list[Laid]) -> list[Laid]:
    files = {item.path for item in items if item.content is not None}
    return [item for item in items if not any(item.path.startswith(f"{path}/") for path in files)]


@settings(deadline=None)
@given(items=laid_items.map(no_file_is_a_parent), random=st.randoms())
def test_a_tar_hangs_on_its_entries_and_not_on_their_order(items: list[Laid], random) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    first = b"".join(tar_chunks(items, "opt/env"))
    shuffled = list(items)
    random.shuffle(shuffled)
    assert b"".join(tar_chunks(shuffled, "opt/env")) == first
    with tarfile.open(fileobj=io.BytesIO(first + END_OF_ARCHIVE)) as tar:
        members = tar.getmembers()
        names = [member.name for member in members]
        assert names == sorted(set(names))
        for member in members:
            parent = os.path.dirname(member.name)
            assert not parent or names.index(parent) < names.index(member.name)
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mode in (0o755, 0o644)
        for item in items:
            entry = tar.getmember(f"opt/env/{item.path}")
            if item.content is None:
                assert entry.isdir()
            else:
                source = tar.extractfile(entry)
                assert source is not None
                assert source.read() == item.content.data  # type: ignore[attr-defined]


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=6), compression=st.sampled_from(["gzip", "zstd"]))
def test_packed_bytes_do_not_hang_on_how_they_arrive(cuts: list[int], compression: str) -> None:
    data = vector()[: 3 * BLOCK_BYTES]
    chosen: Codec = codec(compression)  # type: ignore[arg-type]
    sink = io.BytesIO()
    stream = PackedStream(sink, chosen)
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        stream.write(data[start:end])
    written = stream.close()
    assert sink.getvalue() == compressed(chosen, data)
    assert written.digest == hashlib.sha256(sink.getvalue()).hexdigest()


def test_this_machine_makes_the_fast_gzip() -> None:
    assert codec("gzip").key.startswith("isal-")


def test_a_key_changes_with_what_decides_the_bytes_and_with_nothing_else(tmp_path: Path) -> None:
    lock = sample(tmp_path)
    binary, pure, _ = lock.conda
    wheel = lock.pypi[0]
    other_python = lock_of([binary, pure, python_record("3.12.1")], [wheel])
    renamed = lock_of(lock.conda, lock.pypi, variables={"B": "2"}, requested=("other",))
    patched = Record({**binary.raw, "depends": ["libc"]})
    indexed = Record({**binary.raw, "indexed_timestamp": 7})

    assert layer_key(lock, [binary]) == layer_key(other_python, [binary]) == layer_key(renamed, [binary])
    assert layer_key(lock, [pure]) == layer_key(renamed, [pure]) != layer_key(other_python, [pure])
    assert layer_key(lock, [wheel]) != layer_key(other_python, [wheel])
    assert layer_key(lock_of([patched]), [patched]) != layer_key(lock, [binary])
    assert layer_key(lock_of([indexed]), [indexed]) == layer_key(lock, [binary])
    assert layer_key(lock, [binary], prefix="/opt/other") != layer_key(lock, [binary])
    assert layer_key(lock, [binary], compression="zstd") != layer_key(lock, [binary])
    assert layer_key(lock, [binary, pure]) == layer_key(lock, [pure, binary]) != layer_key(lock, [binary])
    assert member_key(lock, binary) not in (layer_key(lock, [binary]), member_key(lock, binary, "zstd"))
    assert top_layer_key(lock) != top_layer_key(renamed)


def test_top_pieces_are_the_same_again(tmp_path: Path) -> None:
    lock = sample(tmp_path)
    for make in (make_top_layer, lambda lock, sink: make_top_member(lock, [], sink=sink)):
        first, second = io.BytesIO(), io.BytesIO()
        assert make(lock, sink=first) == make(lock, sink=second)
        assert first.getvalue() == second.getvalue()


def test_where_isal_makes_other_bytes_zlib_is_used_under_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    import condarium.conda.pieces.codec as module

    monkeypatch.setattr(module, "_VECTOR_SHA256", "0" * 64)
    fallback = codec.__wrapped__("gzip")
    assert fallback.key.startswith("zlib-")
    assert gzip.decompress(compressed(fallback, vector())) == vector()
    with pytest.raises(ValueError, match="brotli"):
        codec("brotli")  # type: ignore[arg-type]

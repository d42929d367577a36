"""A job becomes a prefix at its final path, whole and right."""

import json
import os
import stat
import subprocess
from pathlib import Path

from rattler import PrefixRecord

from deploy.local.channel.archive import Package
from tests.fixtures.engine import COMMAND, PYTHONPATH, Builder, MakeChannel, python_in
from tests.fixtures.http_directory import serve_directory

SCIENCE = {"name": "science", "dependencies": ["python", "numpy", "flask"]}


def test_an_environment_of_numpy_works_at_its_final_path(builder: Builder) -> None:
    said = builder.run({**SCIENCE, "variables": {"COLOUR": "blue"}})
    lock = said.locks["linux-64"]
    assert said.prefix == builder.store / "default" / f"{lock.hash[:12]}-science"
    assert said.end["lock_hash"] == lock.hash
    assert said.end["reused"] is False
    printed = python_in(
        said.prefix, "import numpy, sys, sysconfig; print(sys.prefix, sysconfig.get_config_var('prefix'))"
    )
    assert printed.split() == [str(said.prefix)] * 2
    flask = subprocess.run([said.prefix / "bin" / "flask", "--version"], env={}, capture_output=True, text=True)
    assert flask.returncode == 0, flask.stderr
    assert list((builder.store / ".staging").iterdir()) == []
    assert ".staging" not in (said.prefix / "bin" / "flask").read_text()


def test_conda_meta_says_what_conda_wants_to_know(builder: Builder) -> None:
    said = builder.run({**SCIENCE, "variables": {"COLOUR": "blue"}})
    meta = said.prefix / "conda-meta"
    assert json.loads((meta / "state").read_text())["env_vars"] == {"COLOUR": "blue"}
    history = (meta / "history").read_text()
    assert "# update specs: ['flask', 'numpy', 'python']" in history
    lock = said.locks["linux-64"]
    for record in lock.conda:
        written = PrefixRecord.from_path(next(meta.glob(f"{record.name}-{record.version}-*.json")))
        assert written.url == record.url
        assert written.url.startswith("https://conda.anaconda.org/conda-forge/")
    numpy = json.loads(next(meta.glob("numpy-*.json")).read_text())
    assert numpy["requested_specs"] == ["numpy"]
    # Where a thing was indexed is no part of it: the lock would change whenever a channel is indexed again.
    assert "indexed_timestamp" not in numpy
    assert not any("indexed_timestamp" in record.raw for record in lock.conda)


def test_phases_are_told_in_order_and_the_lock_before_the_link(builder: Builder) -> None:
    said = builder.run(SCIENCE)
    told = [(event["event"], event.get("name"), event.get("state")) for event in said.events]
    order = [
        ("phase", "solve", "finished"),
        ("solved", None, None),
        ("phase", "fetch", "finished"),
        ("phase", "link", "started"),
        ("phase", "link", "finished"),
        ("linked", None, None),
    ]
    places = [told.index(step) for step in order]
    assert places == sorted(places)
    assert "conda-forge is mirrored by the sample channel." in said.log


def test_an_identical_lock_makes_no_new_prefix(builder: Builder) -> None:
    first = builder.run(SCIENCE)
    inode = first.prefix.stat().st_ino
    second = builder.run({**SCIENCE, "description": "other words"})
    assert second.end["reused"] is True
    assert second.prefix == first.prefix
    assert second.prefix.stat().st_ino == inode
    assert second.end["size"] == first.end["size"] > 50_000_000


def test_a_changed_variable_is_a_new_lock_and_a_new_prefix(builder: Builder) -> None:
    first = builder.run({**SCIENCE, "variables": {"A": "1"}})
    second = builder.run({**SCIENCE, "variables": {"A": "2"}})
    assert first.locks["linux-64"].hash != second.locks["linux-64"].hash
    assert first.prefix != second.prefix


def test_another_name_links_the_same_lock_without_solving(builder: Builder) -> None:
    first = builder.run(SCIENCE)
    locks = {platform: lock.to_json() for platform, lock in first.locks.items()}
    second = builder.run({"name": "unused"}, name="other", namespace="team", locks=locks)
    assert second.locks == first.locks
    assert second.prefix == builder.store / "team" / f"{first.locks['linux-64'].hash[:12]}-other"
    assert not any(event.get("name") == "solve" for event in second.events)
    module = "lib/python*/site-packages/numpy/__init__.py"
    pair = [next(prefix.glob(module)).stat().st_ino for prefix in (first.prefix, second.prefix)]
    assert pair[0] == pair[1]
    assert python_in(second.prefix, "import sys, numpy; print(sys.prefix)") == str(second.prefix)


def test_linked_files_are_read_only_and_prefixes_can_be_deleted(builder: Builder) -> None:
    said = builder.run(SCIENCE)
    linked = [path for path in _files(said.prefix) if path.lstat().st_nlink > 1]
    assert len(linked) > 1000
    assert [path for path in linked if path.stat().st_mode & 0o222] == []
    directories = [Path(folder) for folder, _, _ in os.walk(said.prefix)]
    assert all(directory.stat().st_mode & 0o700 == 0o700 for directory in directories)


def test_a_strict_umask_of_the_parent_changes_no_mode(builder: Builder, tmp_path: Path) -> None:
    first = builder.run(SCIENCE)
    job = builder.job(SCIENCE, store=str(tmp_path / "second"), cache=str(tmp_path / "second" / ".cache"))
    with subprocess.Popen(
        ["/bin/sh", "-c", 'umask 077; exec "$@"', "sh", *COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH},
        start_new_session=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(job.to_json()).encode() + b"\n")
        child.stdin.flush()
        events = [json.loads(line) for line in child.stdout]
        child.stdin.close()
    second = Path(events[-1]["prefix"])
    assert _modes(first.prefix) == _modes(second)


def test_a_platform_that_is_not_the_stores_is_solved_and_not_linked(builder: Builder) -> None:
    builder.virtual_packages = {**builder.virtual_packages, "linux-aarch64": ()}
    said = builder.run({"name": "data", "dependencies": ["tzdata"], "platforms": ["linux-64", "linux-aarch64"]})
    assert set(said.locks) == {"linux-64", "linux-aarch64"}
    assert said.locks["linux-64"].hash != said.locks["linux-aarch64"].hash
    assert said.end["lock_hash"] == said.locks["linux-64"].hash
    elsewhere = builder.run({"name": "data", "dependencies": ["tzdata"], "platforms": ["linux-aarch64"]})
    assert (elsewhere.end["lock_hash"], elsewhere.end["prefix"]) == (None, None)


def _files(prefix: Path) -> list[Path]:
    return [Path(folder, name) for folder, _, names in os.walk(prefix) for name in names]


def _modes(prefix: Path) -> dict[str, str]:
    found = {}
    for folder, folders, names in os.walk(prefix):
        for name in (*folders, *names):
            path = Path(folder, name)
            found[str(path.relative_to(prefix))] = stat.filemode(path.lstat().st_mode)
    return found


def test_a_channel_that_says_not_changed_in_the_fewest_words(builder: Builder, make_channel: MakeChannel) -> None:
    """Without the Last-Modified: `python -m http.server` as a channel."""
    channel = make_channel([Package(name="small", version="1", build_pattern="0", noarch="generic")])
    for file in channel.rglob("*.*"):
        os.utime(file)
    with serve_directory(channel) as served:
        for _ in range(2):
            assert builder.run({"channels": [served.url], "dependencies": ["small"]}).locks
        assert served.unchanged

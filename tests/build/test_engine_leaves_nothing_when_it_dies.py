"""Killed at any moment, a child leaves at most its own staging and no process; what it was killed for works again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from condarium.work.child import Child
from services.builder import housekeeping
from services.builder.job import Job
from tests.fixtures.engine import COMMAND, PYTHONPATH, Builder, follow, python_in
from tests.fixtures.http_directory import Served, serve_directory
from tests.fixtures.patience import patient, wait_for

SPEC = {"name": "science", "dependencies": ["python", "numpy"]}


@pytest.fixture
def cold(builder: Builder, tmp_path: Path) -> Builder:
    """The builder with caches of its own, empty."""
    builder.cache = tmp_path / "store" / ".cache"
    return builder


def test_killed_while_linking_it_leaves_only_staging(builder: Builder) -> None:
    builder.run(SPEC)
    child = builder.start()
    child.wait_ready(90)
    job = builder.job({**SPEC, "variables": {"A": "1"}})
    child.send(job.to_json())
    while (message := child.receive(90)) is not None:
        if (message.get("name"), message.get("state")) == ("link", "started"):
            break
    wait_for((job.staging / "prefix" / "lib").exists, every=0.002)
    child.kill()
    assert job.staging.is_dir()
    assert len(list((builder.store / "default").iterdir())) == 1
    again = builder.run({**SPEC, "variables": {"A": "1"}})
    assert python_in(again.prefix, "import numpy; print(numpy.__name__)") == "numpy"


def test_housekeeping_leaves_the_staging_of_a_frozen_child_alone(builder: Builder) -> None:
    """Half deleted and then renamed, it would be taken for the whole prefix by every later build."""
    builder.run(SPEC)
    job = builder.job({**SPEC, "variables": {"A": "1"}})
    (job.staging / "prefix" / "lib").mkdir(parents=True)  # of an earlier life of the database
    (job.staging / "prefix" / "lib" / "stray").touch()
    with builder.start() as child:
        child.wait_ready(90)
        child.send(job.to_json())
        while (message := child.receive(90)) is not None:
            if (message.get("name"), message.get("state")) == ("link", "started"):
                break
        wait_for((job.staging / "prefix" / "conda-meta").exists, every=0.002)
        os.kill(child.pid, signal.SIGSTOP)
        housekeeping.main([f"--remove={job.staging}"])
        assert (job.staging / "prefix" / "conda-meta").exists()
        os.kill(child.pid, signal.SIGCONT)
        said = follow(child)
    assert python_in(said.prefix, "import numpy; print(numpy.__name__)") == "numpy"
    assert not (said.prefix / "lib" / "stray").exists()
    job.staging.mkdir()
    housekeeping.main([f"--remove={job.staging}"])
    assert not job.staging.exists()


def test_killed_while_fetching_the_next_one_fetches(cold: Builder, sample_channel: Path) -> None:
    with serve_directory(sample_channel) as served:
        cold.channels = {"mirrors": {"conda-forge": [served.url]}}
        child = _child_hanging_in_a_download(cold, served, sample_channel)
        child.kill()
        served.hang_on = None
        said = cold.run(SPEC)
        assert python_in(said.prefix, "import numpy; print(numpy.__name__)") == "numpy"
        # What the killed one had extracted is used, and what it had begun is gone.
        assert [path for path in (cold.cache / "pkgs" / ".incoming").iterdir() if path.is_dir()] == []


def test_a_slow_download_of_one_build_does_not_hold_up_another(cold: Builder, sample_channel: Path) -> None:
    with serve_directory(sample_channel) as served:
        cold.channels = {"mirrors": {"conda-forge": [served.url]}}
        with _child_hanging_in_a_download(cold, served, sample_channel):
            said = cold.run({"name": "other", "dependencies": ["tzdata"]})
            assert said.prefix.is_dir()


def test_two_children_on_a_cold_cache_make_two_good_prefixes(cold: Builder) -> None:
    children = [cold.start() for _ in range(2)]
    for child, name in zip(children, ("one", "two"), strict=True):
        child.wait_ready(90)
        child.send(cold.job(SPEC, name=name).to_json())
    ends = [follow(child) for child in children]
    for child in children:
        child.kill()
    for said in ends:
        assert python_in(said.prefix, "import numpy; print(numpy.__name__)") == "numpy"
    fetched = [line for said in ends for line in said.log.splitlines() if line.startswith("Fetched")]
    total = sum(int(line.split()[1]) for line in fetched)
    assert total >= len(ends[0].locks["linux-64"].conda)
    assert list((cold.cache / "pkgs" / ".incoming").glob("*-*")) == []


def test_two_children_with_the_same_lock_share_one_prefix(builder: Builder) -> None:
    children = [builder.start() for _ in range(2)]
    for child in children:
        child.wait_ready(90)
        child.send(builder.job(SPEC).to_json())
    ends = [follow(child) for child in children]
    for child in children:
        child.kill()
    assert ends[0].prefix == ends[1].prefix
    assert len(list((builder.store / "default").iterdir())) == 1


def test_it_dies_with_its_parent(cold: Builder, sample_channel: Path) -> None:
    """The parent is killed with -9 while the child hangs in a download; the child is gone at once."""
    with serve_directory(sample_channel) as served:
        cold.channels = {"mirrors": {"conda-forge": [served.url]}}
        served.hang_on = _numpy(sample_channel)
        _kill_the_parent_of(cold.job(SPEC), served, processes=1)


def test_uv_dies_with_it(builder: Builder, tmp_path: Path) -> None:
    """The same while uv waits for an index: three generations."""
    with serve_directory(tmp_path) as served:
        served.hang_on = "/simple/tool/"
        spec = {"name": "wheels", "dependencies": ["python", {"pip": ["tool"]}]}
        _kill_the_parent_of(builder.job(spec, pip_index_url=f"{served.url}/simple"), served, processes=2)


def _kill_the_parent_of(job: Job, served: Served, *, processes: int) -> None:
    code = (
        "import json,os,sys,time\n"
        "from condarium.work.child import spawned\n"
        f"child = spawned({COMMAND!r}, environ=dict(os.environ))\n"
        "child.wait_ready(90); child.send(json.loads(sys.stdin.readline()))\n"
        "print(child.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH},
        text=True,
    )
    with parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(json.dumps(job.to_json()) + "\n")
        parent.stdin.flush()
        child = int(parent.stdout.readline())
        assert served.hanging.wait(90)
        family = [child, *_children(child)]
        assert len(family) == processes
        assert all(map(_alive, family))
        parent.kill()
    # the channel answers them only after that
    wait_for(lambda: not any(map(_alive, family)), seconds=2)


def test_it_ends_when_its_stdin_ends(builder: Builder) -> None:
    child = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH},
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert json.loads(child.stdout.readline()) == {"event": "ready"}
    child.stdin.close()
    assert child.wait(patient(5)) == -signal.SIGKILL
    child.stdout.close()


def _numpy(channel: Path) -> str:
    return sorted((channel / "linux-64").glob("numpy-2.4*.conda"))[-1].name


def _child_hanging_in_a_download(builder: Builder, served: Served, channel: Path) -> Child:
    served.hang_on = _numpy(channel)
    child = builder.start()
    child.wait_ready(90)
    child.send(builder.job(SPEC).to_json())
    assert served.hanging.wait(90)
    return child


def _children(pid: int) -> list[int]:
    listings = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listing in listings for child in listing.read_text().split()]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"

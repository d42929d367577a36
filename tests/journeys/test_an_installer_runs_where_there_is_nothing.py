"""A real environment is installed in a root directory with dash, busybox and a libc: no Python, nothing of GNU."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.environments import SolveSample, dependencies
from tests.fixtures.installers import make_installer


@pytest.fixture(scope="module")
def root(base_image_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default base image, unpacked."""
    if os.geteuid() != 0:
        pytest.skip("chroot wants root")
    directory = tmp_path_factory.mktemp("root")
    for blob in (base_image_directory / "blobs" / "sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            subprocess.run(["tar", "-xzf", blob, "-C", directory], check=True)
    (directory / "usr" / "bin" / "dd").symlink_to("busybox")
    (directory / "proc").mkdir(exist_ok=True)
    (directory / "dev").mkdir(exist_ok=True)
    for name, minor in (("null", 3), ("zero", 5)):
        if not (directory / "dev" / name).exists():
            os.mknod(directory / "dev" / name, 0o020666, os.makedev(1, minor))
    assert not list(directory.glob("usr/bin/python*"))
    return directory


def inside(root: Path, *command: str) -> str:
    # Without /proc a program does not know where it lies; it is mounted for this command only.
    mounted = 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i PATH=/usr/bin:/bin "$@"'
    namespace = ["unshare", "--mount", "sh", "-c", mounted, str(root)]
    done = subprocess.run([*namespace, *command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", ["dash", "busybox sh"])
def test_it_installs_and_works(root: Path, shell: str, solve_sample: SolveSample) -> None:
    made = solve_sample(*dependencies("science"), "flask", "pip")
    make_installer(made.lock, made.archives, root / "science-1.sh")
    prefix = f"/opt/{shell.split()[0]}"
    inside(root, *shell.split(), "/science-1.sh", "-b", "-p", prefix)
    python = f"{prefix}/bin/python"
    code = "import numpy, pandas, ssl, sysconfig; print(numpy.add(1, 2), sysconfig.get_config_var('prefix'))"
    assert inside(root, python, "-B", "-c", code) == f"3 {prefix}\n"
    assert "Flask" in inside(root, f"{prefix}/bin/flask", "--version")
    assert "No broken requirements" in inside(root, python, "-B", "-m", "pip", "check")
    shutil.rmtree(root / prefix.lstrip("/"))

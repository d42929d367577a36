"""The tiny packages that each do one unusual thing really do it when rattler links them."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.sample_environments import link_environment

pytestmark = pytest.mark.filterwarnings("ignore:.*clobber.*")


def _link(channel: Path, specs: list[str], target: Path, *, link_scripts: bool = False) -> Path:
    asyncio.run(link_environment(channel, specs, target, link_scripts=link_scripts))
    return target


def test_the_link_script_runs_only_where_it_may(sample_channel: Path, tmp_path: Path) -> None:
    without = _link(sample_channel, ["sample-link-script"], tmp_path / "without")
    assert not (without / "share/sample-link-script/ran").exists()
    allowed = _link(sample_channel, ["sample-link-script"], tmp_path / "allowed", link_scripts=True)
    assert (allowed / "share/sample-link-script/ran").read_text() == "sample-link-script 1.0\n"


def test_the_prefix_is_replaced_in_text_and_in_binary_files(sample_channel: Path, tmp_path: Path) -> None:
    prefix = _link(sample_channel, ["sample-prefix"], tmp_path / "env")
    share = prefix / "share/sample-prefix"
    assert (share / "text").read_text() == f"prefix={prefix}\n"
    binary = (share / "binary").read_bytes()
    assert binary.startswith(b"\x00\x01prefix=" + str(prefix).encode() + b"/share\x00")
    assert binary.endswith(b"\xffafter\x00")
    assert (share / "link").is_symlink()
    assert (share / "a name with späces").exists()
    said = subprocess.run([prefix / "bin/sample-prefix"], capture_output=True, text=True, env={}, check=True)
    assert said.stdout.strip() == str(prefix)


def test_activation_brings_its_variables_and_certificates(sample_channel: Path, tmp_path: Path) -> None:
    prefix = _link(sample_channel, ["sample-activate", "ca-certificates"], tmp_path / "env")
    script = (
        f'for file in "{prefix}"/etc/conda/activate.d/*.sh; do . "$file"; done; echo "$SAMPLE_ACTIVATE $SSL_CERT_FILE"'
    )
    said = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, env={"CONDA_PREFIX": str(prefix)}, check=True
    )
    assert said.stdout == f"on {prefix}/ssl/cacert.pem\n"
    assert json.loads((prefix / "etc/conda/env_vars.d/sample-activate.json").read_text())


def test_two_packages_contest_one_path(sample_channel: Path, tmp_path: Path) -> None:
    prefix = _link(sample_channel, ["sample-clobber-a", "sample-clobber-b"], tmp_path / "env")
    share = prefix / "share/sample-clobber"
    assert (share / "contested").read_text().startswith("from sample-clobber-")
    assert {path.name for path in share.iterdir()} >= {"contested", "own-a", "own-b"}

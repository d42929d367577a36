"""Which channel stands behind the name conda-forge: itself, or the sample channel of this machine."""

import json
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.local.channel import ChannelError, make_channel, read_info
from deploy.local.layout import Layout
from deploy.local.problem import LocalProblem
from deploy.local.settings import Settings

PROBE = "https://conda.anaconda.org/conda-forge/noarch/repodata_shards.msgpack.zst"
PROBE_SECONDS = 2.0
LABEL = "the sample channel of this machine"
SAMPLE, CONDA_FORGE = "sample", "conda-forge"


def conda_forge_answers() -> bool:
    """A short look at conda-forge itself, through the caller's own proxies and certificates."""
    try:
        certificates = ssl.create_default_context()  # the system's, with what an administrator added
        reply = httpx.head(PROBE, timeout=PROBE_SECONDS, follow_redirects=True, verify=certificates)
        return reply.status_code == 200
    except (httpx.HTTPError, OSError, ValueError):
        return False


def choose(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """What the demo uses: "sample", "conda-forge", or None where the caller set mirrors of their own.

    Raises:
        LocalProblem: DEMO_CHANNEL is neither.
    """
    if "CONDARIUM_CHANNEL_MIRRORS" in settings.given:
        return None
    asked = environ.get("DEMO_CHANNEL", "")
    if asked not in ("", SAMPLE, CONDA_FORGE):
        raise LocalProblem(f"DEMO_CHANNEL={asked} is neither {SAMPLE} nor {CONDA_FORGE}")
    return asked or (CONDA_FORGE if conda_forge_answers() else SAMPLE)


def make(layout: Layout) -> None:
    """Make the sample channel, or find that it is there.

    Raises:
        LocalProblem: with what is missing on this machine.
    """
    layout.data.mkdir(parents=True, exist_ok=True)
    try:
        make_channel(layout.channel, progress=lambda text: print(f"  channel      {text}", flush=True))
    except ChannelError as error:
        raise LocalProblem(f"the sample channel cannot be made: {error}") from error


def banner(channel: Path) -> str:
    """What people have to know who see conda-forge in a lock."""
    info = read_info(channel)
    return (
        "conda-forge is mirrored by the sample channel of this machine: "
        f"{info.packages if info else 'some'} packages made out of its Python, its Debian libraries and wheels. "
        "Locks name conda-forge, but only this machine can serve them."
    )


def values(channel: Path) -> dict[str, str]:
    """The settings with which the sample channel answers for conda-forge; its programs need this machine's glibc."""
    info = read_info(channel)
    found = {
        "CONDARIUM_CHANNEL_MIRRORS": json.dumps({CONDA_FORGE: [channel.as_uri()]}),
        "CONDARIUM_CHANNEL_MIRROR_LABELS": json.dumps({CONDA_FORGE: LABEL}),
    }
    return found | ({"CONDARIUM_VIRTUAL_PACKAGES": json.dumps(info.virtual_packages)} if info else {})

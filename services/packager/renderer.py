"""The packager's child: fetches archives, makes layers, members and lockfiles, and puts them into storage.

One job after the other until its parent goes. A fault is an answer, never the end of this process.
"""

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from condarium.conda.channels import ChannelSettings
from condarium.conda.fetch import PackageSource
from condarium.conda.package_info import read_info
from condarium.conda.pieces.member import make_member
from condarium.conda.pieces.tar_stream import Sink
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock
from condarium.domain.oci_channel import Part, Parts
from condarium.domain.redaction import redact
from condarium.errors import CondariumError, WorldFault
from condarium.storage import Storage, blob_key, open_storage
from condarium.work.parent import Parent, attach
from services.packager.jobs import Setup, fault_to_json, members_of
from services.packager.layer_renderer import Bench, LayerRenderer

#: below everything that somebody waits for interactively
NICE = 10


class Renderer:
    def __init__(self, setup: Setup) -> None:
        self._storage: Storage = open_storage(setup.storage_url)
        self._setup = setup
        self.use(ChannelSettings())
        self._spool = Path(setup.spool)
        self._spool.mkdir(parents=True, exist_ok=True)
        self._locks: dict[str, Lock] = {}
        bench = Bench(self._storage, Path(setup.cache), self._spool, self._fetched, self._stored, self._locks)
        self._layers = LayerRenderer(bench)

    def use(self, channels: ChannelSettings) -> None:
        """Where the following jobs get archives from. What is being fetched ahead goes on as it began."""
        self._channels = channels
        self._source = PackageSource(Path(self._setup.cache), channels, max_bytes=self._setup.cache_bytes)

    def learn(self, lock: Lock) -> None:
        self._locks[lock.hash] = lock

    def forget(self) -> None:
        """The parent says when there are too many locks, and sends again what it needs."""
        self._locks.clear()

    def fetch_ahead(self, wanted: list[tuple[str, str, int]]) -> None:
        """Brings archives into the cache while earlier jobs are rendered; faults show when a job needs them."""
        source = self._source

        def bring() -> None:
            try:
                source.get_all(wanted)
            except CondariumError:
                return

        threading.Thread(target=bring, name="fetch-ahead", daemon=True).start()

    def run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Raises CondariumError."""
        if job["kind"] == "text":
            return self._text(job)
        if job["kind"] == "fetch":
            self._source.get_all((url, sha256, size) for url, sha256, size in job["wanted"])
            return {}
        if job["kind"] == "package":
            return self._package(*job["wanted"])
        if job["kind"] in ("join", "top", "probe"):
            return self._layers.run(job)
        lock = self._locks[job["lock"]]
        members = members_of(lock, job["members"])
        archives = self._fetched(members)
        compression = job["compression"]
        if job["kind"] == "layer":
            return self._layers.make(lock, members, archives, compression, job["python"])
        (member,) = members
        archive = archives[member.sha256]
        spool = self._spool
        return self._stored(
            lambda sink: make_member(
                lock, member, archive, sink=sink, compression=compression, spool_directory=spool
            ).to_json()
        )

    def clean(self, text: str) -> str:
        """Without what only this process knows."""
        return redact(text, self._channels.secrets())

    def _fetched(self, members: Sequence[Member]) -> dict[str, Path]:
        """Their archives by sha256."""
        paths = self._source.get_all((member.url, member.sha256, member.size) for member in members)
        return dict(zip((member.sha256 for member in members), paths, strict=True))

    def _stored(self, make: Callable[[Sink], dict[str, Any]]) -> dict[str, Any]:
        """Makes a piece in a file beside, then stores it under its digest."""
        staging = self._spool / f"piece-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with staging.open("xb") as sink:
                result = make(sink)
            self._storage.put(blob_key(result["digest"]), staging)
        except OSError as error:
            raise WorldFault(f"cannot write to {self._spool}: {error.strerror}") from error
        finally:
            staging.unlink(missing_ok=True)
        return result

    def _package(self, url: str, sha256: str, size: int) -> dict[str, Any]:
        archive = self._source.get(url, sha256, size=size)
        kept = self._storage.put(blob_key(sha256), archive)
        index = b""

        def metadata(sink: Sink) -> dict[str, Any]:
            nonlocal index
            found = read_info(archive, sink)
            index = found.index
            return {"digest": found.digest, "size": found.size}

        info = self._stored(metadata)
        digest = hashlib.sha256(index).hexdigest()
        self._storage.put(blob_key(digest), index)
        return Parts(Part(sha256, kept.size), Part(info["digest"], info["size"]), Part(digest, len(index))).to_json()

    def _text(self, job: Mapping[str, Any]) -> dict[str, Any]:
        # it imports rattler, which most children never need
        from condarium.conda import lockfiles

        locks = [self._locks[sha256] for sha256 in job["locks"]]
        mirrored = job["mirrored"]
        formats: dict[str, Callable[[], str]] = {
            "conda-lock": lambda: lockfiles.conda_lock_yaml(locks, mirrored=mirrored),
            "explicit": lambda: lockfiles.explicit(locks[0], mirrored=mirrored),
            "rattler-lock": lambda: lockfiles.rattler_lock(locks, mirrored=mirrored),
        }
        text = self.clean(formats[job["format"]]()).encode()
        stored = self._storage.put(job["key"] or blob_key(hashlib.sha256(text).hexdigest()), text)
        return {"digest": stored.sha256, "size": stored.size}


def answer(renderer: Renderer, job: Mapping[str, Any]) -> dict[str, Any]:
    """The message that answers a job."""
    try:
        return {"event": "made", "job": job["job"], "result": renderer.run(job)}
    except CondariumError as error:
        said = fault_to_json(error)
    except Exception as error:  # a job must have an answer; a person reads the message
        said = fault_to_json(WorldFault(f"the rendering failed unexpectedly: {type(error).__name__}: {error}"))
    return {"event": "failed", "job": job["job"], **said, "message": renderer.clean(said["message"])}


def main(up: Parent) -> None:
    up.send("ready")
    renderer = Renderer(Setup(**up.receive()["setup"]))
    while True:
        message = up.receive()
        if "lock" in message and "job" not in message:
            renderer.learn(Lock.from_json(message["lock"]))
        elif "forget" in message:
            renderer.forget()
        elif "channels" in message:
            renderer.use(ChannelSettings.from_json(message["channels"]))
        elif "ahead" in message:
            renderer.fetch_ahead([(url, sha256, size) for url, sha256, size in message["ahead"]])
        else:
            said = answer(renderer, message)
            up.send(**said)


if __name__ == "__main__":
    main(attach(nice=NICE))

"""What a renderer makes of image layers: those of packages, of groups out of them, and the one over all others."""

import base64
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from condarium.conda.pieces.bytecode import Bytecode, Compile
from condarium.conda.pieces.bytecode.interpreter import CannotRun, compile_by, probe, unpack
from condarium.conda.pieces.layer import LayerResult, Part, join_layers, make_layer
from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Spool
from condarium.conda.pieces.tar_stream import Sink
from condarium.conda.pieces.top_layer import make_top_layer
from condarium.domain.image import PREFIX
from condarium.domain.link_order import Member
from condarium.domain.lock import Lock, Record
from condarium.storage import Storage, blob_key
from services.packager.jobs import Compression, Python

#: where Pythons are unpacked, in the archive cache
INTERPRETERS = ".interpreters"


@dataclass(frozen=True)
class Bench:
    """What a renderer works with; `stored` makes a piece and puts it under its digest."""

    storage: Storage
    cache: Path
    spool: Path
    fetched: Callable[[Sequence[Member]], dict[str, Path]]
    stored: Callable[[Callable[[Sink], dict[str, Any]]], dict[str, Any]]
    locks: Mapping[str, Lock]


class LayerRenderer:
    """Results hold `paths` in base64."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def run(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """A job of the kinds join, top and probe. Raises CondariumError."""
        match job["kind"]:
            case "join":
                return self._join(job)
            case "top":
                return self._top(job)
            case _:
                return self._probe(Record(job["record"]), Bytecode(**job["bytecode"]))

    def make(
        self,
        lock: Lock,
        members: Sequence[Member],
        archives: Mapping[str, Path],
        compression: Compression,
        python: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """The layer of one package, or of some that share paths. Raises CondariumError."""
        by = None if python is None else self._compile(Python.from_json(python))
        options: dict[str, Any] = {"compression": compression, "spool_directory": self._bench.spool, "bytecode": by}
        return self._stored(lambda sink: make_layer(lock, members, archives, sink=sink, **options))

    def _stored(self, make: Callable[[Sink], LayerResult]) -> dict[str, Any]:
        def described(sink: Sink) -> dict[str, Any]:
            result = asdict(make(sink))
            return result | {"paths": base64.b64encode(result["paths"]).decode()}

        return self._bench.stored(described)

    def _join(self, job: Mapping[str, Any]) -> dict[str, Any]:
        parts = [self._part(part) for part in job["parts"]]
        return self._stored(lambda sink: join_layers(parts, sink=sink, compression=job["compression"]))

    def _top(self, job: Mapping[str, Any]) -> dict[str, Any]:
        lock = self._bench.locks[job["lock"]]
        corrections = [(self._part(part), paths) for part, paths in job["corrections"]]
        options: dict[str, Any] = {"compression": job["compression"], "spool_directory": self._bench.spool}
        with Spool(self._bench.spool) as spool:
            changed = self._run_scripts(lock, spool) if job["run_scripts"] else []
            return self._stored(
                lambda sink: make_top_layer(lock, sink=sink, corrections=corrections, changed=changed, **options)
            )

    def _run_scripts(self, lock: Lock, spool: Spool) -> list[Laid]:
        # it imports rattler, which most children never need
        from condarium.conda import link_scripts

        archives = self._bench.fetched(lock.conda)
        directory = self._bench.spool / f"scripts-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            return link_scripts.run(lock, archives, directory, spool, prefix=PREFIX)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _part(self, data: Mapping[str, Any]) -> Part:
        storage, key = self._bench.storage, blob_key(data["digest"])

        def read(start: int, end: int) -> Iterator[bytes]:
            with storage.open(key, start, end) as blob:
                yield from blob

        result = LayerResult(
            data["digest"],
            data["diff_id"],
            data["size"],
            data["raw_size"],
            tuple(data["link_scripts"]),
            data["head"],
            tuple(data["counts"]),
            base64.b64decode(data["paths"]),
        )
        return Part(read, data["size"], data["head"], result)

    def _probe(self, record: Record, bytecode: Bytecode) -> dict[str, Any]:
        try:
            return {"tag": probe(self._interpreter(record), bytecode)}
        except CannotRun as error:
            return {"refusal": str(error)}

    def _compile(self, python: Python) -> Compile:
        return compile_by(self._interpreter(python.record), python.bytecode, python.tag)

    def _interpreter(self, record: Record) -> Path:
        directory = self._bench.cache / INTERPRETERS
        directory.mkdir(parents=True, exist_ok=True)
        prefix = directory / record.sha256
        if prefix.is_dir():
            return unpack(record, prefix, directory)
        return unpack(record, self._bench.fetched([record])[record.sha256], directory, self._bench.spool)

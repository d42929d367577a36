"""Archives by address and digest: packages and wheels as files, in a bounded cache that processes share.

For packagers, which read no builder's disk. Every byte is checked against the lock's sha256 before anybody sees it.
"""

import hashlib
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock as ThreadLock
from typing import Any

from condarium.conda.channels import ChannelSettings, directory_of
from condarium.conda.disk import evict_files, exclusive
from condarium.domain.redaction import redact
from condarium.errors import InputFault, WorldFault

_CHUNK = 1 << 20
_TRIES = 3
_FIRST_WAIT_SECONDS = 0.3
# What was used this recently is not evicted: somebody may be about to open it.
_KEEP_SECONDS = 600


class PackageSource:
    """`get` returns the path of a verified archive, from the cache or from the channel.

    `directory` may be shared by any number of processes; it is held to `max_bytes`, least recently used first out.
    """

    def __init__(
        self,
        directory: Path,
        settings: ChannelSettings,
        *,
        max_bytes: int,
        parallel: int = 8,
        timeout_seconds: float = 60.0,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._max_bytes = max_bytes
        self._parallel = parallel
        self._timeout = timeout_seconds
        self._guard = ThreadLock()
        self._added = max_bytes  # a first look at what an earlier process left, with the first archive

    def get(self, url: str, sha256: str, *, size: int = 0) -> Path:
        """The archive behind the canonical `url`; `size` in bytes bounds what is read, 0 means unknown.

        Raises:
            WorldFault: not reachable, cut off, or not the bytes of the lock.
            InputFault: the channel has no such file, or refuses access.
        """
        # What came with a namespace's credential lies where nobody without that credential looks.
        scope = self._settings.scope_of(url)
        folder = f"{sha256}.{scope}" if scope else sha256
        target = self._directory / sha256[:2] / folder / url.rsplit("/", 1)[-1]
        if _touch(target):
            return target
        with exclusive(self._directory / ".locks" / sha256[:2]):
            # Another process may have brought it while this one waited.
            if not _touch(target):
                self._bring(url, sha256, size, target)
        self._trim(target.stat().st_size)
        return target

    def get_all(self, wanted: Iterable[tuple[str, str, int]]) -> list[Path]:
        """`get` for many (url, sha256, size), several at a time, in the order asked for."""
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="fetch") as pool:
            return list(pool.map(lambda item: self.get(item[0], item[1], size=item[2]), wanted))

    def _bring(self, url: str, sha256: str, size: int, target: Path) -> None:
        staging = self._directory / ".staging" / f"{sha256}-{os.getpid()}"
        staging.parent.mkdir(parents=True, exist_ok=True)
        try:
            download(url, sha256, staging, self._settings, size=size, timeout_seconds=self._timeout)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging, target)
        finally:
            staging.unlink(missing_ok=True)

    def _trim(self, added: int) -> None:
        with self._guard:
            self._added += added
            # Reading the whole directory for every archive would cost more than it saves.
            if self._added < self._max_bytes // 20:
                return
            self._added = 0
        evict_files(self._directory, self._max_bytes, keep_seconds=_KEEP_SECONDS)


def download(
    url: str,
    sha256: str | None,
    target: Path,
    settings: ChannelSettings,
    *,
    md5: str | None = None,
    size: int = 0,
    timeout_seconds: float = 60.0,
) -> str:
    """Write the file behind the canonical `url` to `target`, from the first location that has the right bytes.

    Right is what has the `sha256`, or the `md5` where only that is known. Returns the sha256.

    Raises WorldFault and InputFault as `PackageSource.get` does.
    """
    faults: list[WorldFault | InputFault] = []
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_FIRST_WAIT_SECONDS * 4 ** (attempt - 1))
        faults = []
        for place in settings.package_urls(url):
            try:
                return _copy(place, sha256, md5, target, settings, size, timeout_seconds)
            except (WorldFault, InputFault) as fault:
                faults.append(fault)
        if all(isinstance(fault, InputFault) for fault in faults):
            break
    raise next((fault for fault in faults if isinstance(fault, WorldFault)), faults[0])


def _copy(
    place: str,
    sha256: str | None,
    md5: str | None,
    target: Path,
    settings: ChannelSettings,
    size: int,
    timeout: float,
) -> str:
    assert sha256 or md5, "what cannot be verified is not fetched"
    shown = redact(place, settings.secrets())
    digest, weak, count = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with open_place(place, settings, timeout) as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                if not sha256:
                    weak.update(chunk)
                sink.write(chunk)
                count += len(chunk)
                if size and count > size:
                    raise WorldFault(f"{shown} has more bytes than the {size} that the lock states.")
    except urllib.error.HTTPError as error:
        raise http_fault(error, shown, settings.refusal(place)) from None
    except FileNotFoundError:
        raise InputFault(f"{shown} does not exist.", reason="no-such-package") from None
    except (OSError, ssl.SSLError, ValueError) as error:
        raise WorldFault(f"{shown} cannot be read: {error}.") from None
    except Exception as error:  # http.client's own errors, such as IncompleteRead
        raise error if isinstance(error, WorldFault) else WorldFault(f"{shown} broke off: {error}.") from None
    if sha256 and digest.hexdigest() != sha256:
        raise WorldFault(f"{shown} has sha256 {digest.hexdigest()}, but the lock states {sha256}.")
    if not sha256 and weak.hexdigest() != md5:
        raise WorldFault(f"{shown} has md5 {weak.hexdigest()}, but the lock states {md5}.")
    return digest.hexdigest()


@contextmanager
def open_place(place: str, settings: ChannelSettings, timeout: float, **headers: str) -> Iterator[Any]:
    """An open file or an HTTP response, with the credentials that `place` needs; `headers` besides.

    Raises what urllib and the file system raise.
    """
    file = directory_of(place)
    if file is not None:
        with file.open("rb") as source:
            yield source
        return
    request = urllib.request.Request(place, headers={"User-Agent": "condarium"} | headers)
    for name, value in settings.headers(place).items():
        # Not sent on to another host by a redirect, as an ordinary header would be.
        request.add_unredirected_header(name, value)
    with urllib.request.urlopen(request, timeout=timeout) as response:
        yield response


def http_fault(error: urllib.error.HTTPError, shown: str, refusal: str) -> WorldFault | InputFault:
    error.close()
    if error.code in (401, 403, 407):
        return InputFault(f"{shown} refused access ({error.code} {error.reason}). {refusal}", reason="no-such-channel")
    if error.code in (404, 410):
        return InputFault(f"{shown} does not exist ({error.code} {error.reason}).", reason="no-such-package")
    after = error.headers.get("Retry-After", "")
    return WorldFault(
        f"{shown} answered {error.code} {error.reason}.", retry_after=float(after) if after.isdigit() else None
    )


def _touch(path: Path) -> bool:
    """Whether `path` exists; marks it as used now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True

"""What the indexes of channels look like now, without reading them: does an answer of before still stand?"""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from condarium.conda.channels import ChannelSettings, directory_of, join
from condarium.domain.canonical import canonical_hash

_SECONDS = 5.0
#: the indexes of one subdir are written together: whichever there is tells of all
_FILES = ("repodata.json.zst", "repodata.json")
_TELLING = ("ETag", "Last-Modified")


async def state_of(channels: Sequence[str], subdirs: Sequence[str], settings: ChannelSettings) -> str | None:
    """The same text as long as no index of the channels (canonical URLs) is written anew; None when one does not say.

    Never raises: a channel that is away says nothing.
    """
    places = [(channel, subdir) for channel in channels for subdir in subdirs]
    found = await asyncio.gather(*(asyncio.to_thread(_look, *place, settings) for place in places))
    if any(state is None for state in found):
        return None
    return canonical_hash([[*place, state] for place, state in zip(places, found, strict=True)])


def _look(channel: str, subdir: str, settings: ChannelSettings) -> list[Any] | None:
    # Only the first location counts: another mirror may be behind it, and then nothing is said.
    location = join(settings.locations(channel)[0], subdir)
    directory = directory_of(location)
    return _file_state(directory / "repodata.json") if directory else _http_state(location, settings)


def _file_state(file: Path) -> list[Any] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return ["absent"]
    except OSError:
        return None
    return [stat.st_mtime_ns, stat.st_size, stat.st_ino]


def _http_state(location: str, settings: ChannelSettings) -> list[Any] | None:
    for name in _FILES:
        address = join(location, name)
        request = urllib.request.Request(address, headers={"User-Agent": "condarium"}, method="HEAD")
        for header, value in settings.headers(address).items():
            request.add_unredirected_header(header, value)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as reply:
                said = [reply.headers.get(header) for header in _TELLING]
                return [*said, reply.headers.get("Content-Length")] if any(said) else None
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in (404, 410):
                return None
        except (OSError, ValueError):
            return None
    return ["absent"]

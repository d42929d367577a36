"""Where everything of one data directory lies."""

from dataclasses import dataclass
from pathlib import Path

from deploy.ui.fetch import VERSION


@dataclass(frozen=True)
class Layout:
    """The paths inside one data directory; `checkout` is where the code is."""

    data: Path
    checkout: Path
    # Where `up` tells people its addresses and token.
    environment_file: Path

    @property
    def state(self) -> Path:
        return self.data / "state.json"

    @property
    def lock(self) -> Path:
        """Held while `up` or `down` works, so that two of them don't meet."""
        return self.data / "lock"

    @property
    def run(self) -> Path:
        """Launch scripts and records of processes."""
        return self.data / "run"

    @property
    def socket(self) -> Path:
        return self.data / "supervisor.sock"

    @property
    def configuration(self) -> Path:
        return self.data / "supervisord.conf"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def storage(self) -> Path:
        """The file blob store."""
        return self.data / "storage"

    @property
    def store(self) -> Path:
        """The directory of prefixes."""
        return self.data / "store"

    @property
    def cache(self) -> Path:
        """The package cache; beside the store, so that packages are hard-linked."""
        return self.data / "cache"

    @property
    def packager_cache(self) -> Path:
        return self.data / "packager-cache"

    @property
    def channel(self) -> Path:
        """The sample channel."""
        return self.data / "channel"

    @property
    def ui(self) -> Path:
        """The web UI's files; of this release of it, so that a newer one is fetched."""
        return self.data / f"ui-{VERSION}"

    @property
    def base_image(self) -> Path:
        """What every image begins with; made once, so that images stay the same."""
        return self.data / "base-image"

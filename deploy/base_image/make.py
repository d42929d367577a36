"""The base layer out of the packages' files: same packages, same bytes."""

import tempfile
from pathlib import Path

from condarium.conda.base_image import StoredBase, load_base, store_layer, write_base
from condarium.conda.pieces.placement import Laid
from condarium.conda.pieces.spool import Literal, Spool
from condarium.conda.pieces.tar_stream import END_OF_ARCHIVE, tar_chunks
from condarium.domain.image import BaseImage, ImageLayer
from condarium.errors import ConfigError
from deploy.base_image.packages import download, host_architecture, read_files

_CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_DIRECTORY_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}
_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    # Without it glibc asks DNS before /etc/hosts, where container runtimes put names.
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}
_BUSYBOX_APPLETS = """
    awk basename cat chmod chown cp cut date diff dirname du env expr false find free grep gunzip gzip head
    hostname id kill ln ls md5sum mkdir mktemp mv nc nproc nslookup od ping printenv printf ps pwd readlink
    realpath rm rmdir sed seq sha256sum sleep sort stat strings sync tail tar tee test time timeout top touch
    tr true tty uname uniq unzip vi wc wget which whoami xargs xz yes
"""


def make_base(directory: Path, architecture: str | None = None) -> StoredBase:
    """Make the default base as an OCI image layout in `directory`, unless a base is there already.

    Raises BaseProblem where apt cannot give the packages.
    """
    try:
        return load_base(directory)
    except ConfigError:
        architecture = architecture or host_architecture()
    with tempfile.TemporaryDirectory() as downloads, Spool() as spool:
        debs = download(Path(downloads), architecture)
        laid = base_files(debs, spool)
        written = store_layer(directory, [*tar_chunks(laid.values()), END_OF_ARCHIVE])
    packages = ", ".join(" ".join(deb.stem.split("_")[:2]).replace("%3a", ":") for deb in debs)
    layer = ImageLayer(written.digest, written.diff_id, written.size, f"condarium base: {packages}")
    return write_base(directory, BaseImage(architecture, (layer,), {"SSL_CERT_FILE": f"/{_CA_BUNDLE}"}))


def base_files(debs: list[Path], spool: Spool) -> dict[str, Laid]:
    """Everything in the layer, by path."""
    laid: dict[str, Laid] = {}
    for deb in debs:
        laid |= read_files(deb, spool)
    laid |= {name: Laid(name, target=f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")}
    for applet in _BUSYBOX_APPLETS.split():
        laid.setdefault(f"usr/bin/{applet}", Laid(f"usr/bin/{applet}", target="busybox"))
    laid["usr/bin/sh"] = Laid("usr/bin/sh", target="dash")
    laid |= {path: Laid(path, Literal(text.encode())) for path, text in _TEXTS.items()}
    laid[_CA_BUNDLE] = Laid(_CA_BUNDLE, Literal(_certificates(laid)))
    laid |= {path: Laid(path, mode=mode) for path, mode in _DIRECTORY_MODES.items()}
    return laid


def _certificates(laid: dict[str, Laid]) -> bytes:
    """One bundle of all certificates, in the order of their names."""
    texts = []
    for path in sorted(laid):
        content = laid[path].content
        if path.startswith("usr/share/ca-certificates/") and content is not None:
            texts.append(content.read(0, content.size).rstrip() + b"\n")
    return b"".join(texts)

"""Explicit lists: URLs with hashes, no solver (CEP 23). They hold no wheels, which follow as comments."""

from collections.abc import Mapping

from condarium.conda.lockfiles.header import header, topologically
from condarium.domain.lock import Lock


def explicit(lock: Lock, *, mirrored: Mapping[str, str] | None = None) -> str:
    """`@EXPLICIT` and the URLs of the conda packages in the order in which they can be linked.

    The hashes are written `#sha256:`, which conda, micromamba and rattler read and check.
    """
    lines = [
        "# platform: " + lock.platform,
        "@EXPLICIT",
        *(f"{record.url}#sha256:{record.sha256}" for record in topologically(lock.conda)),
    ]
    if lock.pypi:
        lines.append("# This format holds no wheels. Save the lines that follow without '# pip: ' as requirements.txt;")
        lines.append("# then, in the environment: pip install --no-deps --require-hashes -r requirements.txt")
        lines.extend(f"# pip: {line}" for line in _pins(lock))
    use = "conda create --name NAME --file THIS_FILE"
    return header([lock], mirrored, use, origin=True) + "".join(f"{line}\n" for line in lines)


def requirements(lock: Lock, *, mirrored: Mapping[str, str] | None = None) -> str:
    """The wheels, pinned with the hash of the one file that was locked; for the Python of the lock."""
    use = f"pip install --no-deps --require-hashes -r THIS_FILE (Python {lock.python_xy})"
    return header([lock], mirrored, use) + "".join(f"{line}\n" for line in _pins(lock))


def _pins(lock: Lock) -> list[str]:
    wheels = sorted(lock.pypi, key=lambda wheel: wheel.name)
    return [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}" for wheel in wheels]

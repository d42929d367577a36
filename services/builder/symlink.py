"""The symlink is a rendering of the environment's current build: whoever renders reads the row again."""

import os
from pathlib import Path

from condarium import log
from condarium.database import Database, stores

logger = log.get(__name__)


def link_path(store: Path, namespace: str, environment: str) -> Path:
    return store / namespace / "envs" / environment


def render(database: Database, store: Path, namespace: str, environment: str) -> None:
    """Makes `{store}/{namespace}/envs/{name}` point to where the environment's row says, by one rename.

    Two renderers, on whatever hosts, are one after the other, so an old one never undoes a newer. What the disk refuses
    is logged: housekeeping comes by every half minute, and one environment must not keep others from being rendered.
    """
    with database.transaction() as session:
        stores.lock_environment(session, namespace, environment)
        try:
            path = stores.current_path(session, namespace, environment)
        except stores.Swept:
            # The link stays where it points, which is there, until the prefix is linked again (`restoring`).
            return
        try:
            _render(store, namespace, environment, path)
        except OSError as error:
            logger.warning(
                "a symlink cannot be written now", namespace=namespace, environment=environment, reason=str(error)
            )


def render_all(database: Database, store: Path) -> None:
    """Mends every symlink that differs from its row; what has no row is removed."""
    with database.transaction() as session:
        wanted = stores.current_paths(session)
    found = {
        (link.parent.parent.name, link.name)
        for link in store.glob("*/envs/*")
        if link.is_symlink() and not link.name.startswith(".")
    }
    for namespace, environment in sorted(wanted.keys() | found):
        key = (namespace, environment)
        if key in wanted and wanted[key] is None:
            continue  # swept: the link stays until its prefix is linked again
        if _read(link_path(store, namespace, environment)) != _target(wanted.get(key)):
            render(database, store, namespace, environment)


def _target(path: str | None) -> str | None:
    # Relative to `{namespace}/envs/`, so that a store can be mounted anywhere.
    return None if path is None else f"../{path.split('/', 1)[1]}"


def _read(link: Path) -> str | None:
    try:
        return os.readlink(link)
    except OSError:
        return None


def _render(store: Path, namespace: str, environment: str, path: str | None) -> None:
    link, target = link_path(store, namespace, environment), _target(path)
    if _read(link) == target:
        return
    if target is None:
        link.unlink(missing_ok=True)
    else:
        link.parent.mkdir(parents=True, exist_ok=True)
        # Always the same name, so that a killed renderer leaves nothing that the next one does not use.
        fresh = link.with_name(f".{environment}.fresh")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        os.replace(fresh, link)
    logger.info("symlink rendered", namespace=namespace, environment=environment, target=target)

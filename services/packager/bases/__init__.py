"""python -m services.packager.bases: base images, by an administrator of the installation on one of its machines.

    list                                                         what is stored
    pull IMAGE [--platform P ...] [--name NAME] [--default]      out of another registry
    import FILE [--platform P] [--name NAME] [--default]         `docker save`, or an OCI layout (directory or tar)
    default ID                                                   what images of its platform stand on from now on

Settings are the packager's own (CONDARIUM_DATABASE_URL, CONDARIUM_STORAGE_URL, CONDARIUM_SECRET, proxies).
Credentials for a registry are those of the deployment (`condarium credential set`). Nothing that users name is ever
fetched from here.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from condarium.database import Database, audit, base_images, credentials
from condarium.database.base_images import Stored
from condarium.domain.access import Action
from condarium.domain.sealing import Vault
from condarium.errors import InvalidInput
from condarium.oci.connection import Connection, Network
from condarium.oci.reference import parse_reference
from condarium.storage import open_storage
from condarium.work.base_images import Choice, check_name, import_saved, pull


@dataclass(frozen=True)
class Settings:
    """What of the packager's settings this needs; see `condarium.register`."""

    database_url: str
    storage_url: str
    secret: str
    secret_previous: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    ca_bundle: Path | None = None


#: whom the audit log and the rows name: there is no login on the machine itself
ACTOR = "admin"


def run(asked: argparse.Namespace, settings: Settings, database: Database) -> list[Stored]:
    """Does what was asked for on the command line; the base images that it is about. Raises CondariumError."""
    if asked.command == "list":
        with database.transaction() as session:
            return base_images.every(session)
    if asked.command == "default":
        with database.transaction() as session:
            chosen = [base_images.choose_default(session, asked.id)]
    else:
        storage = open_storage(settings.storage_url)
        storage.prepare()
        choice = Choice(check_name(asked.name), make_default=asked.default, actor=ACTOR)
        if asked.command == "import":
            platform = _only(asked.platform)
            chosen = [import_saved(database, storage, asked.file, platform=platform, choice=choice)]
        else:
            reference = parse_reference(asked.image)
            with database.transaction() as session:
                vault = Vault(settings.secret, settings.secret_previous)
                login = credentials.for_registry(session, vault, "", reference.address)
            with Connection(reference.url, login=login, network=network_of(settings)) as connection:
                chosen = pull(database, storage, connection, reference, platforms=asked.platform, choice=choice)
    with database.transaction() as session:
        for stored in chosen:
            audit.record(
                session,
                principal=ACTOR,
                action=Action.OPERATE,
                resource="*/*",
                details={"operation": f"base-image-{asked.command}", "base_image": stored.id} | _details(stored),
            )
    return chosen


def network_of(settings: Settings) -> Network:
    proxies = {"http": settings.http_proxy, "https": settings.https_proxy}
    direct = [host.strip() for host in (settings.no_proxy or "").split(",")]
    return Network(
        proxies={scheme: proxy for scheme, proxy in proxies.items() if proxy},
        direct=tuple(host for host in direct if host),
        ca_bundle=settings.ca_bundle,
    )


def _details(stored: Stored) -> dict[str, str | bool]:
    said = {"platform": stored.platform, "digest": stored.image.digest, "source": stored.image.source}
    return {key: value for key, value in said.items() if value} | {"is_default": stored.is_default}


def _only(platforms: Sequence[str]) -> str | None:
    if len(platforms) > 1:
        raise InvalidInput("a file is imported for one platform at a time; name --platform once")
    return platforms[0] if platforms else None


def show(stored: Sequence[Stored]) -> None:
    for each in stored:
        size = sum(layer.size for layer in each.image.layers)
        words = [
            str(each.id),
            each.platform,
            each.name or "-",
            f"{size / 1e6:.1f} MB in {len(each.image.layers)} layers",
            each.image.source or "-",
            each.image.digest or "-",
            "default" if each.is_default else "",
        ]
        sys.stdout.write("  ".join(words).rstrip() + "\n")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m services.packager.bases",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    pulled = commands.add_parser("pull")
    pulled.add_argument("image", help="host/repository:tag or host/repository@sha256:...")
    imported = commands.add_parser("import")
    imported.add_argument("file", type=Path)
    for command in (pulled, imported):
        command.add_argument("--platform", action="append", default=[], help="linux-64, linux-aarch64, ...")
        command.add_argument("--name", help="what the setting image_base calls it")
        command.add_argument("--default", action="store_true", help="images of its platform stand on it from now on")
    commands.add_parser("default").add_argument("id", type=int)
    return made

"""Wiring of the packager."""

from condarium.messaging import bootstrap

bootstrap.patch()

import os
import socket
import sys
from functools import partial

from condarium import config, log, metrics
from condarium.conda.channels import ChannelSettings
from condarium.database import Database, artifacts, check_schema
from condarium.database.garbage import sweeps
from condarium.domain.deployment import Deployment
from condarium.errors import CondariumError
from condarium.messaging import broker
from condarium.messaging.health import Health
from condarium.messaging.relay import Relay
from condarium.messaging.service import run_service
from condarium.storage import open_storage
from condarium.work.child import Child, environment, spawned
from condarium.work.sweeper import Resume, Sweeper
from services.packager.base_image import store_base
from services.packager.children import Children
from services.packager.config import Settings
from services.packager.handlers import Work
from services.packager.jobs import Setup
from services.packager.packages import package_slots
from services.packager.pieces import forget_leftovers
from services.packager.publishing.slots import publishing_slots
from services.packager.referrers import referrer_slots
from services.packager.service import make_service
from services.packager.slots import Slots
from services.packager.sweeping import garbage
from services.packager.sweeping.running import run as run_sweep

#: where the renderers write what is not stored yet
SPOOL = ".spool"


def channel_settings(settings: Settings) -> ChannelSettings:
    return ChannelSettings(
        alias=settings.channel_alias,
        mirrors=settings.channel_mirrors,
        labels=settings.channel_mirror_labels,
        credentials=settings.channel_credentials,
    ).with_index(settings.pip_index_url)


def start_child(settings: Settings) -> Child:
    """A renderer; what it needs to know it is told over its pipe."""
    more = {
        name: str(value)
        for name, value in (
            ("HTTP_PROXY", settings.http_proxy),
            ("HTTPS_PROXY", settings.https_proxy),
            ("NO_PROXY", settings.no_proxy),
            ("SSL_CERT_FILE", settings.ca_bundle),
        )
        if value
    }
    # Proxies of the service's own environment hold for what has no setting of its own.
    names = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    argv = [sys.executable, "-m", "services.packager.renderer"]
    return spawned(argv, environ=environment(os.environ, names=names, **more))


def setup_of(settings: Settings) -> Setup:
    return Setup(
        storage_url=settings.storage_url,
        cache=str(settings.packager_cache),
        cache_bytes=settings.packager_cache_bytes,
        spool=str(settings.packager_cache / SPOOL),
    )


def main() -> int:
    try:
        settings, deployment = config.load(Settings, os.environ), config.load(Deployment, os.environ).values
        log.configure("packager", settings.log_level)
        database = Database(
            settings.database_url, pool_size=settings.database_pool_size, application="condarium-packager"
        )
        database.wait_until_up()
        check_schema(settings.database_url)
        storage = open_storage(settings.storage_url)
        storage.prepare()
        forget_leftovers(settings.packager_cache / SPOOL)
        if settings.base_image is not None:
            store_base(database, storage, settings.base_image)
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    channels = channel_settings(settings)
    work = Work(database, storage, settings, channels, owner=f"{socket.gethostname()}:{os.getpid()}")
    children = Children(lambda: start_child(settings), setup_of(settings), count=settings.packager_slots)
    slots, relay = Slots(work, children), Relay(database, settings.amqp_url)
    beside = [package_slots(work, children), referrer_slots(work, children), publishing_slots(work)]
    sweeper = Sweeper(
        database,
        sweeps.STORAGE,
        partial(run_sweep, work, environment(os.environ), deployment),
        owner=work.owner,
        deployment=deployment,
        poll_seconds=settings.poll_seconds,
        resume=Resume(garbage.is_interrupted, partial(garbage.resume, work)),
    )

    def start() -> None:
        relay.start()
        slots.start()
        for each in beside:
            each.start()
        sweeper.start()

    def stop() -> None:
        for each in beside:
            each.quit()
        sweeper.stop()
        slots.stop()
        for each in beside:
            each.join()
        relay.stop()
        database.close()

    def depth() -> float:
        with database.transaction() as session:
            return artifacts.queue_depth(session)

    metrics.DEPTH.labels("artifacts-requested").set_function(depth)
    checks = {
        "database": database.ping,
        "broker": lambda: broker.ping(settings.amqp_url),
        "storage": storage.check,
    }
    return run_service(
        make_service(slots),
        amqp_url=settings.amqp_url,
        health=Health(bind=settings.bind, port=settings.health_port, checks=checks),
        on_start=start,
        on_stop=stop,
    )


if __name__ == "__main__":
    sys.exit(main())

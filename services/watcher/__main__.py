"""Wiring of the watcher."""

from condarium.messaging import bootstrap

bootstrap.patch()

import os
import socket
import sys

from condarium import config, log, metrics
from condarium.conda import matchspec
from condarium.database import Database, channels, check_schema
from condarium.domain.deployment import Deployment
from condarium.errors import CondariumError
from condarium.messaging import broker
from condarium.messaging.health import Health
from condarium.messaging.relay import Relay
from condarium.messaging.service import run_service
from condarium.work.child import Child, environment, spawned
from services.watcher import handlers
from services.watcher.config import Settings
from services.watcher.indexing import Indexing
from services.watcher.indexing_plan import make_plan
from services.watcher.listener import Listener
from services.watcher.service import Watcher
from services.watcher.sources import Source
from services.watcher.watching import Watching


def start_child(settings: Settings) -> Child:
    """An indexer; what it needs to know it is told over its pipe."""
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
    argv = [sys.executable, "-m", "services.watcher.indexer"]
    return spawned(argv, environ=environment(os.environ, names=names, **more))


def main() -> int:
    try:
        settings = config.load(Settings, os.environ)
        deployment = config.load(Deployment, os.environ).checked(matchspec.check)
        log.configure("watcher", settings.log_level)
        roots = settings.roots()
        plan = make_plan(settings, deployment)
        database = Database(
            settings.database_url, pool_size=settings.database_pool_size, application="condarium-watcher"
        )
        database.wait_until_up()
        check_schema(settings.database_url)
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    relay = Relay(database, settings.amqp_url)

    def take(source: Source, content: bytes) -> handlers.Outcome:
        return handlers.take(database, source, content, platforms=settings.platforms, deployment=deployment)

    watching = Watching(
        roots,
        take,
        Listener(settings.watcher_polling),
        quiet_seconds=settings.watcher_quiet_seconds,
        rescan_seconds=settings.watcher_rescan_seconds,
    )

    owner = f"{socket.gethostname()}:{os.getpid()}"
    indexing = Indexing(database, plan, owner=owner, start_child=lambda: start_child(settings))

    def start() -> None:
        relay.start()
        watching.start()
        indexing.start()

    def stop() -> None:
        watching.stop()
        indexing.stop()
        relay.stop()
        database.close()

    def failing() -> float:
        with database.transaction() as session:
            return channels.failing(session)

    metrics.ask(metrics.CHANNEL_FAILING, failing)
    checks = {"database": database.ping, "broker": lambda: broker.ping(settings.amqp_url)}
    return run_service(
        Watcher,
        amqp_url=settings.amqp_url,
        health=Health(bind=settings.bind, port=settings.health_port, checks=checks),
        on_start=start,
        on_stop=stop,
    )


if __name__ == "__main__":
    sys.exit(main())

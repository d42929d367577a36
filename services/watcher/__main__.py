"""Wiring of the watcher."""

from condarium.messaging import bootstrap

bootstrap.patch()

import os
import sys

from condarium import config, log
from condarium.conda import matchspec
from condarium.database import Database, check_schema
from condarium.domain.deployment import Deployment
from condarium.errors import CondariumError
from condarium.messaging import broker
from condarium.messaging.health import Health
from condarium.messaging.relay import Relay
from condarium.messaging.service import run_service
from services.watcher import handlers
from services.watcher.config import Settings
from services.watcher.listener import Listener
from services.watcher.service import Watcher
from services.watcher.sources import Source
from services.watcher.watching import Watching


def main() -> int:
    try:
        settings = config.load(Settings, os.environ)
        deployment = config.load(Deployment, os.environ).checked(matchspec.check)
        log.configure("watcher", settings.log_level)
        roots = settings.roots()
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

    def start() -> None:
        relay.start()
        watching.start()

    def stop() -> None:
        watching.stop()
        relay.stop()
        database.close()

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

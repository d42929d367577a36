"""Wiring of the registry."""

import os
import sys

from condarium import config, log
from condarium.database import Database, check_schema
from condarium.domain.deployment import Deployment
from condarium.errors import CondariumError
from condarium.http.feed import Feed
from condarium.http.server import serve
from condarium.messaging import broker
from condarium.messaging.relay import Relay
from condarium.storage import open_storage
from services.registry.config import Settings, defaults, tls
from services.registry.service import Registry, make_app


def main() -> int:
    try:
        settings = config.load(Settings, os.environ)
        defaults(settings)
        certificate = tls(settings)
        deployment = config.load(Deployment, os.environ).values
        log.configure("registry", settings.log_level)
        database = Database(
            settings.database_url, pool_size=settings.database_pool_size, application="condarium-registry"
        )
        database.wait_until_up()
        check_schema(settings.database_url)
        storage = open_storage(settings.storage_url)
        storage.prepare()
        relay, feed = Relay(database, settings.amqp_url), Feed(database)
        checks = {
            "database": database.ping,
            "broker": lambda: broker.ping(settings.amqp_url),
            "storage": storage.check,
        }
        registry = Registry(settings, database, storage, feed, checks, deployment)
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    relay.start()
    try:
        serve(
            make_app(registry),
            host=settings.bind,
            port=settings.registry_port,
            on_stop=feed.close,
            tls=certificate,
        )
    except OSError as error:
        sys.stderr.write(f"cannot listen on {settings.bind}:{settings.registry_port}: {error.strerror or error}\n")
        return 2
    finally:
        relay.stop()
        database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

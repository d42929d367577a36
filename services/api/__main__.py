"""Wiring of the gateway."""

import os
import sys
import time

from condarium import config, log
from condarium.conda import matchspec
from condarium.database import Database, check_schema, credentials, namespaces, signing_keys
from condarium.domain.deployment import Deployment
from condarium.domain.sealing import Vault
from condarium.errors import CondariumError, Unavailable
from condarium.http.feed import Feed
from condarium.http.server import serve
from condarium.messaging import broker
from condarium.messaging.relay import Relay
from condarium.storage import open_storage
from services.api.config import LoginSettings, Settings, check_login, defaults
from services.api.endpoint import Gateway
from services.api.service import application

#: how long a start waits for Postgres
DATABASE_SECONDS = 60.0

logger = log.get("services.api")


def main() -> int:
    try:
        settings, login = config.load(Settings, os.environ), config.load(LoginSettings, os.environ)
        check_login(settings, login)
        defaults(settings)
        deployment = config.load(Deployment, os.environ).checked(matchspec.check)
        log.configure("api", settings.log_level)
        database = Database(settings.database_url, pool_size=settings.database_pool_size, application="condarium-api")
        wait_for(database)
        check_schema(settings.database_url)
        with database.transaction() as session:
            # A web UI offers to make environments in the namespaces that there are: a new installation has this one.
            namespaces.ensure(session, settings.default_namespace, actor="system")
        seal_anew(database, settings)
        storage = open_storage(settings.storage_url)
        storage.prepare()
        feed, relay = Feed(database), Relay(database, settings.amqp_url)
        checks = {
            "database": database.ping,
            "broker": lambda: broker.ping(settings.amqp_url),
            "storage": storage.check,
        }
        gateway = Gateway(settings, database, storage, feed, checks, login=login, deployment=deployment)
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    relay.start()
    try:
        serve(application(gateway), host=settings.bind, port=settings.api_port, on_stop=feed.close)
    except OSError as error:
        sys.stderr.write(f"CONDARIUM_API_PORT: cannot listen on {settings.bind}:{settings.api_port}: {error}\n")
        return 2
    finally:
        relay.stop()
        database.close()
    return 0


def seal_anew(database: Database, settings: Settings) -> None:
    """After CONDARIUM_SECRET was changed: what CONDARIUM_SECRET_PREVIOUS opens is sealed with the new one."""
    with database.transaction() as session:
        vault = Vault(settings.secret, settings.secret_previous)
        done, closed = credentials.reseal(session, vault)
        of_keys = signing_keys.reseal(session, vault)
        done, closed = done + of_keys[0], closed + of_keys[1]
        # there is one to give to people before the first image is made
        signing_keys.ensure(session, vault)
    if done:
        logger.info("credentials were encrypted anew", credentials=done)
    if closed:
        logger.warning("credentials cannot be decrypted with this CONDARIUM_SECRET; set them anew", names=closed)


def wait_for(database: Database) -> None:
    """Raises Unavailable when Postgres does not answer in time."""
    until = time.monotonic() + DATABASE_SECONDS
    while True:
        try:
            return database.ping()
        except Unavailable:
            if time.monotonic() > until:
                raise
            logger.info("waiting for the database")
            time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())

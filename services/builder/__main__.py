"""Wiring of the builder."""

from condarium.messaging import bootstrap

bootstrap.patch()

import os
import socket
import sys
from functools import partial

from condarium import config, log, metrics
from condarium.database import Database, builds, check_schema, solves, stores
from condarium.database.garbage import sweeps
from condarium.domain.deployment import Deployment
from condarium.errors import CondariumError
from condarium.messaging import broker
from condarium.messaging.health import Health
from condarium.messaging.relay import Relay
from condarium.messaging.service import run_service
from condarium.work.child import Child, environment
from condarium.work.nursery import Nursery
from condarium.work.sweeper import Sweeper
from services.builder.config import Settings
from services.builder.handlers import Work
from services.builder.housekeeping import Housekeeping
from services.builder.relinking import Relinker, Restoring
from services.builder.service import make_service
from services.builder.slots import Slots
from services.builder.solving import SolveSlots
from services.builder.store import Store, open_store
from services.builder.sweeping.running import run as run_sweep


def make_nursery(settings: Settings) -> Nursery:
    """What the children are forked from; they get no setting of Condarium but what their job says."""
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
    names = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
    # uv's own variables are how an index is chosen that CONDARIUM_PIP_INDEX_URL does not name.
    names += [name for name in os.environ if name.startswith("UV_")]
    argv = [sys.executable, "-m", "services.builder.engine", "--nursery"]
    return Nursery(argv, environ=environment(os.environ, names=names, **more))


def main() -> int:
    os.umask(0o022)  # prefixes and symlinks are for others to read
    try:
        settings, deployment = config.load(Settings, os.environ), config.load(Deployment, os.environ).values
        log.configure("builder", settings.log_level)
        database = Database(
            settings.database_url, pool_size=settings.database_pool_size, application="condarium-builder"
        )
        database.wait_until_up()
        check_schema(settings.database_url)
        found = open_store(settings.store)
        with database.transaction() as session:
            store = Store(found.directory, found.uuid, stores.register(session, found.uuid, str(found.directory)))
    except CondariumError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    work = Work(database, settings, store, owner=f"{socket.gethostname()}:{os.getpid()}", deployment=deployment)
    nursery = make_nursery(settings)
    slots = Slots(work, lambda: Child(nursery.fork))
    solve_slots = SolveSlots(work, lambda: Child(nursery.fork))
    relinker = Relinker(work, lambda: Child(nursery.fork))
    restoring = Restoring(work, relinker)
    sweeper = Sweeper(
        database,
        sweeps.STORE,
        partial(run_sweep, work, environment(os.environ), relinker),
        owner=work.owner,
        deployment=deployment,
        poll_seconds=settings.poll_seconds,
    )
    relay, housekeeping = Relay(database, settings.amqp_url), Housekeeping(work, environment(os.environ))

    def start() -> None:
        relay.start()
        housekeeping.start()
        slots.start()
        solve_slots.start()
        restoring.start()
        sweeper.start()

    def stop() -> None:
        sweeper.stop()
        restoring.stop()
        solve_slots.stop()
        slots.stop()
        nursery.close()
        housekeeping.stop()
        relay.stop()
        database.close()

    def depth() -> float:
        with database.transaction() as session:
            return builds.queue_depth(session)

    def waiting_solves() -> float:
        with database.transaction() as session:
            return solves.depth(session)

    metrics.ask(metrics.DEPTH.labels("builds-queued"), depth)
    metrics.ask(metrics.DEPTH.labels("solves"), waiting_solves)
    checks = {"database": database.ping, "broker": lambda: broker.ping(settings.amqp_url)}
    return run_service(
        make_service(database, store, slots, restoring),
        amqp_url=settings.amqp_url,
        health=Health(bind=settings.bind, port=settings.health_port, checks=checks),
        on_start=start,
        on_stop=stop,
    )


if __name__ == "__main__":
    sys.exit(main())

"""A stock nameko service that hears of every completed build. It needs nothing of Condarium's, only nameko.

    pip install nameko==3.0.0rc11
    export CONDARIUM_SUBSCRIBER_AMQP_URL=...        # `make up` writes it to .local/condarium.env
    cd docs/examples && nameko run --config nameko_subscriber.yml nameko_subscriber

The event is a CloudEvents object; docs/events.md says what is in `data`. An event may come twice: what you do about it
should be the same when done twice, or remember `event["id"]`.
"""

from nameko.events import event_handler


class Announcer:
    name = "announcer"

    @event_handler("condarium", "build.completed.v1")
    def announce(self, event: dict) -> None:
        build = event["data"]
        print(f"{event['subject']}: build {build['build']} is complete", flush=True)

    @event_handler("condarium", "build.failed.v1")
    def lament(self, event: dict) -> None:
        print(f"{event['subject']}: {event['data']['message']}", flush=True)

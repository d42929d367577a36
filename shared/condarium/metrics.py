"""Every Prometheus metric of every service, in one place; the names are public (docs/operating.md).

A process shows those it has touched. Figures that stand in the database (`watch`) are asked for when scraped.
"""

import math
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, math.inf)
QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, math.inf)

BUILDS = Counter("condarium_builds_total", "Builds that reached a final state", ["state", "reason"])
BUILD_SECONDS = Histogram("condarium_build_seconds", "From submission to the final state", ["state"], buckets=SECONDS)
PHASE_SECONDS = Histogram(
    "condarium_build_phase_seconds", "Where the time of builds goes (queue, claim, solve, ...)", ["phase"],
    buckets=SECONDS,
)  # fmt: skip
BUILD_RETRIES = Counter("condarium_build_retries_total", "Attempts that the world made fail, tried again later")
ARTIFACTS = Counter("condarium_artifacts_total", "Artifacts that were made or failed", ["artifact", "state"])
ARTIFACT_SECONDS = Histogram("condarium_artifact_seconds", "Making one artifact", ["artifact"], buckets=SECONDS)
PIECES = Counter("condarium_pieces_total", "Per-package pieces: made, or found in storage", ["kind", "outcome"])
DOWNLOADED_BYTES = Counter("condarium_downloaded_bytes_total", "Bytes of packages fetched from channels")
LEASES_LOST = Counter("condarium_leases_lost_total", "Work stopped because another worker had taken it", ["kind"])
SLOTS_BUSY = Gauge("condarium_slots_busy", "Slots of this process that work now", ["kind"])
SUBMISSIONS = Counter("condarium_submissions_total", "Specifications submitted", ["source"])

EVENTS_NUMBERED = Counter("condarium_events_numbered_total", "Events that got their position in the stream")
EVENTS_PUBLISHED = Counter("condarium_events_published_total", "Events the broker confirmed", ["event"])
EVENTS_UNROUTABLE = Counter("condarium_events_unroutable_total", "Internal events that no queue took", ["event"])
PUBLISH_SECONDS = Histogram("condarium_event_publish_seconds", "From commit to the broker's confirm", buckets=QUICK)
RELAY_ACTIVE = Gauge("condarium_relay_active", "1 in the process that carries events to the broker now")
EVENTS_HANDLED = Counter("condarium_events_handled_total", "Events taken off a queue", ["event", "outcome"])
HANDLE_SECONDS = Histogram("condarium_event_handle_seconds", "Handling one event", ["event"], buckets=QUICK)

HTTP_REQUESTS = Counter("condarium_http_requests_total", "Requests answered", ["route", "method", "status"])
HTTP_SECONDS = Histogram("condarium_http_seconds", "Until the reply's head is sent", ["route"], buckets=QUICK)
EVENT_STREAMS = Gauge("condarium_event_streams", "Event streams open in this process")

WATCHED_FILES = Gauge("condarium_watched_files", "Specification files under the watched directories")
WATCHED_INVALID = Gauge("condarium_watched_invalid_files", "Watched files that are no valid specification now")

CHANNEL_SYNCS = Counter("condarium_channel_syncs_total", "Parts of channels read into the package index", ["outcome"])
CHANNEL_FAILING = Gauge("condarium_channel_parts_failing", "Parts of indexed channels that cannot be read now")

GARBAGE_BYTES = Counter("condarium_garbage_bytes_total", "Bytes that sweeps have freed", ["kind"])
GARBAGE_ITEMS = Counter("condarium_garbage_items_total", "Things that sweeps have deleted", ["kind"])
LAST_SWEEP = Gauge("condarium_last_sweep_timestamp_seconds", "When this process last ended a sweep", ["part"])

DEPTH = Gauge("condarium_depth", "Rows that wait, of the whole system (the same in every process)", ["what"])
OUTBOX_LAG_SECONDS = Gauge("condarium_outbox_lag_seconds", "Age of the oldest event the broker has not confirmed")


def ask(gauge: Gauge, read: Callable[[], float]) -> None:
    """Calls `read` for the value whenever metrics are scraped; whatever it raises shows as NaN.

    For figures that stand in the database: a scrape shows all others while it is away.
    """

    def value() -> float:
        try:
            return read()
        except Exception:
            return math.nan

    gauge.set_function(value)


def exposition() -> tuple[bytes, str]:
    """The body and the content type of `/metrics`."""
    return generate_latest(), CONTENT_TYPE_LATEST

"""What the two HTTP edges, the gateway and the registry, do alike. The only library package that knows Starlette.

`caller` finds out who asks and asks `domain.access`, `faults` turns errors into replies, `requests` bounds bodies and
logs, `operating` has /healthz, /readyz and /metrics, `byte_ranges` streams out of storage, `feed` wakes whoever
waits for an event, `event_stream` is SSE, `server` runs uvicorn.
"""

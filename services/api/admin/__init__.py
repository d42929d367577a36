"""Pages under /admin/ for what the web UI lacks. They decide nothing: each asks or does what a route of REST does.

`frame` makes routes of pages and answers faults in place, `forms` reads what was typed, `deeds` are the functions of
REST as the pages call them, `rendering` is templates, policy and filters. One module for each subject besides:
`overview`, `builds`, `environments`, `namespaces`, `roles`, `tokens`, `settings`, `usage`, `garbage`, `audit`.
"""

from starlette.routing import Route

from services.api.admin import (
    audit,
    builds,
    environments,
    garbage,
    namespaces,
    overview,
    roles,
    settings,
    tokens,
    usage,
)
from services.api.endpoint import Gateway

__all__ = [
    "audit",
    "builds",
    "environments",
    "garbage",
    "namespaces",
    "overview",
    "roles",
    "routes",
    "settings",
    "tokens",
    "usage",
]

SUBJECTS = (overview, builds, environments, namespaces, roles, tokens, settings, usage, garbage, audit)


def routes(gateway: Gateway) -> list[Route]:
    return [route for subject in SUBJECTS for route in subject.routes(gateway)]

"""The routes of the distribution API, a module for each subject: `routes(registry)` gives those of the subject.

Another subject is another row of SUBJECTS. The first route that fits a path answers it.
"""

from collections.abc import Callable

from starlette.routing import Route

from services.registry.packages import routes as packages
from services.registry.registry import Registry
from services.registry.routes import blobs, catalog, login, manifests, referrers, tags

Subject = Callable[[Registry], list[Route]]

SUBJECTS: tuple[Subject, ...] = (
    login.routes,
    catalog.routes,
    packages.routes,
    manifests.routes,
    blobs.routes,
    tags.routes,
    referrers.routes,
)


def every(registry: Registry) -> list[Route]:
    """Of all subjects."""
    return [route for subject in SUBJECTS for route in subject(registry)]

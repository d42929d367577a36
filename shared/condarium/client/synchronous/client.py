# Made of `asynchronous` by `make client`: edit that.
"""The client: all subjects on one connection."""

from condarium.client.synchronous.artifacts import Artifacts
from condarium.client.synchronous.builds import Builds
from condarium.client.synchronous.catalogue import Catalogue
from condarium.client.synchronous.environments import Environments
from condarium.client.synchronous.garbage import Garbage
from condarium.client.synchronous.namespaces import Namespaces
from condarium.client.synchronous.publishing import Publishing
from condarium.client.synchronous.settings import Settings
from condarium.client.synchronous.signing import Signing
from condarium.client.synchronous.specifications import Specifications
from condarium.client.synchronous.status import Status
from condarium.client.synchronous.streams import Streams
from condarium.client.synchronous.tokens import Tokens


class Client(
    Specifications,
    Environments,
    Builds,
    Artifacts,
    Streams,
    Namespaces,
    Tokens,
    Settings,
    Publishing,
    Signing,
    Catalogue,
    Garbage,
    Status,
):
    """Everything that REST can do. Methods raise `ApiError` and its subclasses, whose text is a sentence for people.

    `url` is the gateway's address (with or without a path before `/api`); `token` may be empty for anonymous.
    `timeout` is in seconds, for each step of a request; `tries` is how often a read is sent, the first included.
    Reads are tried again when the network fails or the server asks for it; writes only where nothing can happen twice.
    """

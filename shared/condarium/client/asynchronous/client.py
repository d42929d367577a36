"""The client: all subjects on one connection."""

from condarium.client.asynchronous.artifacts import AsyncArtifacts
from condarium.client.asynchronous.builds import AsyncBuilds
from condarium.client.asynchronous.catalogue import AsyncCatalogue
from condarium.client.asynchronous.environments import AsyncEnvironments
from condarium.client.asynchronous.garbage import AsyncGarbage
from condarium.client.asynchronous.namespaces import AsyncNamespaces
from condarium.client.asynchronous.publishing import AsyncPublishing
from condarium.client.asynchronous.settings import AsyncSettings
from condarium.client.asynchronous.signing import AsyncSigning
from condarium.client.asynchronous.specifications import AsyncSpecifications
from condarium.client.asynchronous.status import AsyncStatus
from condarium.client.asynchronous.streams import AsyncStreams
from condarium.client.asynchronous.tokens import AsyncTokens


class AsyncClient(
    AsyncSpecifications,
    AsyncEnvironments,
    AsyncBuilds,
    AsyncArtifacts,
    AsyncStreams,
    AsyncNamespaces,
    AsyncTokens,
    AsyncSettings,
    AsyncPublishing,
    AsyncSigning,
    AsyncCatalogue,
    AsyncGarbage,
    AsyncStatus,
):
    """Everything that REST can do. Methods raise `ApiError` and its subclasses, whose text is a sentence for people.

    `url` is the gateway's address (with or without a path before `/api`); `token` may be empty for anonymous.
    `timeout` is in seconds, for each step of a request; `tries` is how often a read is sent, the first included.
    Reads are tried again when the network fails or the server asks for it; writes only where nothing can happen twice.
    """

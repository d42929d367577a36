"""What this registry refuses, with the codes of the distribution specification. The message is for people."""

from typing import ClassVar

from condarium.errors import InvalidInput, NotAuthorized, NotFound, TooManyRequests, Unavailable


class NameInvalid(InvalidInput):
    oci: ClassVar[str] = "NAME_INVALID"


class DigestInvalid(InvalidInput):
    oci: ClassVar[str] = "DIGEST_INVALID"


class PaginationInvalid(InvalidInput):
    oci: ClassVar[str] = "PAGINATION_NUMBER_INVALID"


class NameUnknown(NotFound):
    oci: ClassVar[str] = "NAME_UNKNOWN"


class ManifestUnknown(NotFound):
    oci: ClassVar[str] = "MANIFEST_UNKNOWN"


class StillMaking(Unavailable):
    """`retry_after` is in seconds."""

    oci: ClassVar[str] = "UNAVAILABLE"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyBuilds(TooManyRequests):
    """More builds than one may start by pulls."""

    oci: ClassVar[str] = "TOOMANYREQUESTS"


class BlobUnknown(NotFound):
    oci: ClassVar[str] = "BLOB_UNKNOWN"


class Denied(NotAuthorized):
    """A setting or the quota of the namespace does not allow it; other credentials would not help."""

    oci: ClassVar[str] = "DENIED"


class Unsupported(InvalidInput):
    """Pushing."""

    status = 405
    oci: ClassVar[str] = "UNSUPPORTED"


class Unauthorized(NotAuthorized):
    """Credentials could help; `challenge` is the WWW-Authenticate header."""

    status = 401
    oci: ClassVar[str] = "UNAUTHORIZED"

    def __init__(self, message: str, challenge: str) -> None:
        super().__init__(message)
        self.challenge = challenge

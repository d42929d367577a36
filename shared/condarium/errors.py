"""Every error that Condarium raises on purpose.

CondariumError
├── InvalidInput            400  what was sent is wrong: says what, where, and what is allowed
│   ├── SpecificationError  400  ... in an environment.yml, with the line or the field
│   └── PolicyError         400  ... for this namespace or environment: a setting says so
├── NotAuthorized           403  the principal may not do this
│   └── QuotaExceeded       403  ... now: the namespace has used what it may use
├── NotFound                404  no such thing, or the principal may not know of it
├── Conflict                409  the thing is in a state that does not allow it
├── TooLarge                413  more bytes than allowed
├── TooManyRequests         429  more at a time than allowed; the caller may try again
├── Unavailable             503  not now: a part is away; the caller may try again
├── ConfigError                  a setting is missing or malformed: stops the start
├── WorldFault                   network, disk, channel 5xx, wrong checksum: retried with backoff
├── InputFault                   outcome of the input (unsolvable, no such channel): final at once
└── LeaseLost                    somebody else owns the row now: stop, write nothing

The HTTP edges register one handler for `CondariumError` and translate by `status` and `code`.
"""

from typing import ClassVar


class CondariumError(Exception):
    """Base of all; `str(error)` is the sentence for the user."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"


class InvalidInput(CondariumError):
    status = 400
    code = "invalid-input"


class SpecificationError(InvalidInput):
    """A fault in an environment.yml; `line` counts from 1."""

    code = "invalid-specification"

    def __init__(self, message: str, *, line: int | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.field = field


class PolicyError(InvalidInput):
    """What is asked for is not allowed here; the setting that says so is named."""

    code = "policy"


class NotAuthorized(CondariumError):
    """`action` and `resource` are what was asked for, for the audit log; empty where nothing says it."""

    status = 403
    code = "not-authorized"

    def __init__(self, message: str, *, action: str = "", resource: str = "") -> None:
        super().__init__(message)
        self.action = action
        self.resource = resource


class QuotaExceeded(NotAuthorized):
    """Which limit of the namespace is reached, how much is used and how much allowed."""

    code = "quota-exceeded"


class NotFound(CondariumError):
    status = 404
    code = "not-found"


class Conflict(CondariumError):
    status = 409
    code = "conflict"


class TooLarge(CondariumError):
    status = 413
    code = "too-large"


class TooManyRequests(CondariumError):
    """`retry_after` is in seconds."""

    status = 429
    code = "too-many-requests"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(CondariumError):
    status = 503
    code = "unavailable"


class ConfigError(CondariumError):
    code = "configuration"


class WorldFault(CondariumError):
    """Something of the world failed; the same work may succeed later. `retry_after` is in seconds."""

    status = 503
    code = "world-fault"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InputFault(CondariumError):
    """A final outcome of what was asked for; `reason` is one of the kebab-case words in docs/operating.md."""

    status = 400
    code = "input-fault"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class LeaseLost(CondariumError):
    status = 409
    code = "lease-lost"

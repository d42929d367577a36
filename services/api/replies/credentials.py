"""The shape of a credential: everything but what it holds."""

from condarium.domain.credential import Kind, Use
from services.api.replies.envelopes import Moment, Shown


class Credential(Shown):
    """`namespace` is null for the whole deployment's; `readable` is false where it was sealed under a lost secret."""

    name: str
    namespace: str | None
    kind: Kind
    use: Use
    url: str
    readable: bool
    created_on: Moment
    created_by: str
    updated_on: Moment
    updated_by: str

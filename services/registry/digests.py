"""Digests that clients ask by. Everything is stored under its sha256; sha512 ones are found out when asked for."""

from anyio import to_thread

from condarium.domain.tags import parse_any_digest
from services.registry import hashing
from services.registry.faults import BlobUnknown, DigestInvalid, ManifestUnknown
from services.registry.names import Repository
from services.registry.registry import Registry


async def as_sha256(
    registry: Registry, repository: Repository, reference: str, unknown: type[BlobUnknown | ManifestUnknown]
) -> str:
    """The sha256 digest of what `reference` names.

    Raises DigestInvalid, `unknown` for a sha512 of nothing, Unavailable while blobs are still hashed.
    """
    found = parse_any_digest(reference)
    if found is None:
        raise DigestInvalid(
            f"{reference[:100]!r} is no digest: sha256: with 64 hex digits is one, sha512: with 128, in lower case"
        )
    if found.algorithm == "sha256":
        return reference
    key = ("sha512", repository.arn, found.digits)

    def known() -> str | None:
        return registry.ask(lambda session: hashing.sha256_of(session, repository, found.digits))

    digits = await registry.remembered.answer(
        key, lambda session: hashing.sha256_of(session, repository, found.digits), keep=bool
    )
    if digits is None:
        await registry.hashing.catch_up(repository)
        digits = await to_thread.run_sync(known, limiter=registry.limiter)
    if digits is None:
        raise unknown(f"{repository.text} has nothing with the digest {reference}")
    return f"sha256:{digits}"

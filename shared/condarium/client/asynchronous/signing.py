"""The keys that sign images, and bills of materials."""

from condarium.client.asynchronous.connection import AsyncConnection
from condarium.client.models.signing import SigningKey


class AsyncSigning(AsyncConnection):
    """What is needed to check images, and to have them signed by a new key."""

    async def signing_keys(self) -> list[SigningKey]:
        """The public keys that images are signed with, the present one first."""
        return await self._ask(list[SigningKey], "GET", self._at("signing-keys"))

    async def public_key(self) -> str:
        """The present public key in PEM, for `cosign verify --key`. Raises NotThere before there is one."""
        async with self._open(self._at("signing-keys", "pem")) as reply:
            return (await reply.aread()).decode()

    async def rotate_signing_key(self) -> SigningKey:
        """A new key signs from now on; the one before stays listed, and its signatures hold."""
        return await self._ask(SigningKey, "POST", self._at("signing-keys"))

    async def sign_again(self) -> int:
        """Has the images signed that another key has signed; how many builds they are of."""
        found = await self._ask(dict[str, int], "POST", self._at("signing-keys", "sign"))
        return found["builds"]

    async def sbom(self, build_id: int, *, format: str = "spdx", platform: str = "") -> str:
        """The bill of materials of a build's image: JSON of SPDX 2.3, or of CycloneDX with `format="cyclonedx"`."""
        query = {"format": format, **({"platform": platform} if platform else {})}
        async with self._open(self._at("build", build_id, "sbom"), query) as reply:
            return (await reply.aread()).decode()

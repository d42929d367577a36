# Made of `asynchronous` by `make client`: edit that.
"""The keys that sign images, and bills of materials."""

from condarium.client.models.signing import SigningKey
from condarium.client.synchronous.connection import Connection


class Signing(Connection):
    """What is needed to check images, and to have them signed by a new key."""

    def signing_keys(self) -> list[SigningKey]:
        """The public keys that images are signed with, the present one first."""
        return self._ask(list[SigningKey], "GET", self._at("signing-keys"))

    def public_key(self) -> str:
        """The present public key in PEM, for `cosign verify --key`. Raises NotThere before there is one."""
        with self._open(self._at("signing-keys", "pem")) as reply:
            return (reply.read()).decode()

    def rotate_signing_key(self) -> SigningKey:
        """A new key signs from now on; the one before stays listed, and its signatures hold."""
        return self._ask(SigningKey, "POST", self._at("signing-keys"))

    def sign_again(self) -> int:
        """Has the images signed that another key has signed; how many builds they are of."""
        found = self._ask(dict[str, int], "POST", self._at("signing-keys", "sign"))
        return found["builds"]

    def sbom(self, build_id: int, *, format: str = "spdx", platform: str = "") -> str:
        """The bill of materials of a build's image: JSON of SPDX 2.3, or of CycloneDX with `format="cyclonedx"`."""
        query = {"format": format, **({"platform": platform} if platform else {})}
        with self._open(self._at("build", build_id, "sbom"), query) as reply:
            return (reply.read()).decode()

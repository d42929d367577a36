"""Where a bucket is, and the clients that reach it."""

from dataclasses import dataclass, field

import urllib3
from minio import Minio

#: requests are tried so often again, after 0, 0.4, 0.8 and 1.6 s and a little chance
RETRIES = 4
BACKOFF_SECONDS = 0.2
_TEMPORARY = (500, 502, 503, 504)


@dataclass(frozen=True)
class S3Address:
    """Where the bucket is for us (`endpoint`) and for clients (`external`); endpoints are host:port."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    secure: bool = True
    region: str = "us-east-1"
    external: str | None = None
    external_secure: bool = True


def client(address: S3Address, *, retries: int = RETRIES) -> Minio:
    """The client for us; each request is tried again when the connection breaks or the server is troubled."""
    return _client(address, address.endpoint, address.secure, retries)


def signer(address: S3Address) -> Minio:
    """Signs what clients outside ask for: arithmetic, it never connects."""
    return _client(address, address.external or address.endpoint, _is_secure(address), 0)


def _is_secure(address: S3Address) -> bool:
    return address.external_secure if address.external else address.secure


def _client(address: S3Address, endpoint: str, secure: bool, retries: int) -> Minio:
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=5, read=60),
        maxsize=32,
        retries=urllib3.Retry(
            total=retries,
            backoff_factor=BACKOFF_SECONDS,
            backoff_jitter=BACKOFF_SECONDS,
            status_forcelist=_TEMPORARY,
            # What is sent may be sent again: keys are replaced whole, a begun upload that nobody ends is swept.
            allowed_methods=None,
            # The last reply is read for its reason.
            raise_on_status=False,
            # A server may ask for an hour.
            respect_retry_after_header=False,
        ),
    )
    return Minio(
        endpoint,
        access_key=address.access_key,
        secret_key=address.secret_key,
        secure=secure,
        region=address.region,
        http_client=http,
    )

"""Errors of the client as ours, by their code only: their texts quote headers and signatures."""

import contextlib
from collections.abc import Iterator

import urllib3
from minio.error import MinioException, S3Error, ServerError

from condarium.errors import NotFound, WorldFault

_MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}


@contextlib.contextmanager
def faults(what: str, endpoint: str) -> Iterator[None]:
    """Raises NotFound for a missing key, WorldFault for everything else that goes wrong inside."""
    try:
        yield
    except S3Error as error:
        if error.code in _MISSING:
            raise NotFound(f"{what}: it is not stored") from None
        raise WorldFault(f"{what} at {endpoint}: {error.code}") from None
    except ServerError as error:
        raise WorldFault(f"{what} at {endpoint}: HTTP {error.status_code}") from None
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        raise WorldFault(f"{what} at {endpoint}: {_kind_of(error)}") from None
    except OSError as error:
        raise WorldFault(f"{what}: {error.strerror or type(error).__name__}") from None


def _kind_of(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return type(reason).__name__ if isinstance(reason, Exception) else type(error).__name__

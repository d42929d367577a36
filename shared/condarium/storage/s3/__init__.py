"""Bytes in a bucket of any S3: the only room that imports the minio client."""

from condarium.storage.s3.address import S3Address
from condarium.storage.s3.store import PART_BYTES, S3Storage, content_disposition

__all__ = ["PART_BYTES", "S3Address", "S3Storage", "content_disposition"]

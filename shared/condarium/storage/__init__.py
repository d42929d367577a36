"""Bytes under keys: in a directory, in S3, or in memory. The only home of the minio client."""

from condarium.storage.open import open_storage
from condarium.storage.port import Blob, Entry, Stat, Storage, Stored, blob_key, check_key

__all__ = ["Blob", "Entry", "Stat", "Storage", "Stored", "blob_key", "check_key", "open_storage"]

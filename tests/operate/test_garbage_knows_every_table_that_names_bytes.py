"""A table that names bytes, and that the sweep does not know, would lose them: each such column is listed here."""

from condarium.database.garbage.references import CONTENT_PREFIX, NAMED_BY, SWEPT_FOLDERS
from condarium.database.tables import metadata
from condarium.storage import blob_key

#: columns that name bytes in storage, by who says so to the sweep
NAMES = {
    "image_blobs.blob_digest": "images",
    "images.config_digest": "configs",
    "base_images.layers": "base images",
    "archives.parts": "archives",
    "referrer_blobs.blob_digest": "referrers",
    "package_copies.parts": "package copies",
    "build_artifacts.key": "artifacts",
    "pieces.digest": "pieces",
}
#: columns with such a name that name no bytes, or name them beside one of the above
OTHERS = {
    "archives.size", "audit.sum_key", "base_images.digest", "blob_digests.sha256", "blob_digests.sha512",
    "build_artifacts.digest", "build_labels.key", "builds.key", "channel_indexes.digest", "condemned.key",
    "credentials.key_id", "image_blobs.image_digest", "images.digest", "interpreters.sha256", "live_keys.key",
    "lock_links.key", "locks.sha256", "namespace_holdings.key", "package_access.sha256", "package_copies.sha256",
    "package_records.digest", "package_records.sha256", "package_shards.digest", "packages.version_key", "pieces.key",
    "publications.digest", "pushed_blobs.digest", "referrer_blobs.manifest_digest", "referrer_manifests.digest",
    "referrers.digest", "setting_changes.key", "settings.key", "signing_keys.key_id", "signing_keys.public_key",
    "specifications.sha256", "watched_files.content_sha256", "watched_files.specification_sha256",
}  # fmt: skip
WORDS = ("digest", "key", "parts", "sha256", "sha512", "layers", "blob")


def test_every_column_that_may_name_bytes_is_known() -> None:
    found = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if any(word in column.name for word in WORDS)
        and column.name != "routing_key"
        and not any(key.column.name == column.name for key in column.foreign_keys)
    }
    unknown = found - NAMES.keys() - OTHERS
    assert unknown == set(), "does it name bytes in storage? Then database/garbage/references.py must know it"
    assert set(NAMES.values()) == NAMED_BY.keys()


def test_the_sweep_and_storage_mean_the_same_keys() -> None:
    assert blob_key("0" * 64) == CONTENT_PREFIX + "0" * 64
    assert set(SWEPT_FOLDERS) == {CONTENT_PREFIX, "archive/", "docker/", "installer/", "lockfile/", "logs/", "yaml/"}

"""Which keys of storage a row names. What no row names is garbage: a new table that names bytes must stand here."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from condarium.domain.artifact import key_folders
from condarium.domain.retention import Retention

#: as `storage.port` has it, which stands beside the database and not below it
CONTENT_PREFIX = "blobs/sha256/"
#: by what names them: SQL that gives keys. `pieces` are a cache: they count while they are used.
NAMED_BY = {
    "images": f"select '{CONTENT_PREFIX}' || blob_digest from image_blobs",
    "configs": f"select '{CONTENT_PREFIX}' || config_digest from images where config_digest <> ''",
    "base images": f"select '{CONTENT_PREFIX}' || (layer->>'digest') "
    "from base_images, jsonb_array_elements(base_images.layers) layer",
    "archives": f"select '{CONTENT_PREFIX}' || (part->>0) from archives, jsonb_array_elements(archives.parts) part",
    "referrers": f"select '{CONTENT_PREFIX}' || blob_digest from referrer_blobs",
    "artifacts": "select key from build_artifacts where key is not null",
    # of an `oci://` channel; its row goes when nobody has asked for it for long (`expiry`)
    "package copies": f"select '{CONTENT_PREFIX}' || (part.value->>0) from package_copies, jsonb_each(parts) part "
    "where state = 'READY'",
    "pieces": f"select '{CONTENT_PREFIX}' || digest from pieces "
    "where coalesce(used_on, created_on) > clock_timestamp() - make_interval(secs => :caches)",
}
#: the only keys of storage that a sweep looks at
SWEPT_FOLDERS = (CONTENT_PREFIX, *sorted(f"{folder}/" for folder in key_folders()))


def gather(session: Session, retention: Retention) -> None:
    """Fills `live_keys` with every key that a row names now."""
    session.execute(text("delete from live_keys"))
    every = " union ".join(NAMED_BY.values())
    session.execute(
        text(f"insert into live_keys select key from ({every}) named (key) where key is not null"),
        {"caches": retention.caches},
    )
    session.execute(text("analyze live_keys"))


def unnamed(session: Session, keys: list[str]) -> set[str]:
    """Those of `keys` that no row named at the last `gather`."""
    query = text("select key from unnest(cast(:keys as text[])) key except select key from live_keys")
    return set(session.execute(query, {"keys": keys}).scalars())


def named_digests(session: Session) -> list[str]:
    """Every digest whose blob a row named at the last `gather`, sorted."""
    query = text("select substr(key, length(:prefix) + 1) from live_keys where starts_with(key, :prefix) order by 1")
    return list(session.execute(query, {"prefix": CONTENT_PREFIX}).scalars())

"""The packager's part of a sweep: rows, storage, and its own archive cache."""

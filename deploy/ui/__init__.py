"""The real conda-store web UI, fetched from its npm package at set-up: it is not part of this repository."""

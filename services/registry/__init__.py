"""The registry: the OCI distribution API for pulling, so that `docker pull` fetches an environment.

Wakes on: HTTP.
Emits:    `artifact.requested`, and `build.queued` for images asked for by their packages.
Reads:    environments, builds, images, blobs in storage.
Writes:   requests for images, with raised priority, and for packages; submissions on demand.

Besides the five files: `registry` (what the process is made of, and who may), `routes` (a module for each subject of
the API; SUBJECTS there lists them), `names` (repositories in paths), `faults` and `replies` (errors, and their JSON),
`tokens` (the Bearer tokens that docker clients ask for), `negotiation` (which encoding a client accepts), `waiting`
(pulls of images that are being made), `blobs` (bytes out of storage), `remembered` (answers that are still right),
`rates` and `attempts` (how much one may ask, and guess), `digests` and `hashing` (sha512 beside sha256), `demanding`
(images by their packages), `packages` (environments as conda channels), `referrers` (what refers to a manifest).
"""

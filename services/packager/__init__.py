"""The packager: renders solved builds into lockfiles, tarballs and images, out of pieces made once per package.

Wakes on: `build.solved`, `artifact.requested`, `build.completed`, `build.failed`, `build.canceled`; a poll behind them.
Emits:    `artifact.ready`, `artifact.failed`, `environment.ready` (all that was asked for is there), `image.published`,
          `publishing.failed`.
Reads:    artifacts, builds, locks, log chunks, credentials; packages out of channels, no builder's disk.
Writes:   artifacts, pieces, tarballs, images, base images; bytes in storage.

Besides the five files: `slots` (who makes artifacts), `making` (one artifact, its lease, its outcome), `texts`,
`tarball`, `installer` and `image` (the kinds of artifacts), `access` (credentials, and the right to what others
fetched), `pieces` (what is missing of layers and members), `layers` (all layers of an image), `layer_renderer` (the
child's part in them), `children` (warm child processes for many jobs), `renderer` (the
child), `jobs` (what is said between the two), `base_image` (what images stand on),
`bases` (a command for administrators: base images pulled, imported and chosen),
`sweeping` (garbage in rows, storage and the archive cache),
`referrers` (what refers to images: bills of materials, provenance, signatures),
`beside` (what is done beside artifacts, by threads of its own), `packages` (those of `oci://`
channels), `publishing` (images into other registries).
"""

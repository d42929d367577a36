"""What refers to an image: bills of materials, lockfiles, the log, attestations and signatures. Pure.

bill          packages of locks with their purls, licences and dependencies; `spdx` and `cyclonedx` write it down
changes       what is new against the generation before, in Markdown and JSON
provenance    in-toto statements, SLSA's among them
envelope      DSSE envelopes and Sigstore bundles
cosign        signatures and attestations as older cosign looks for them, by tag
manifest      all of them as OCI manifests
"""

OCTETS = "application/octet-stream"
SPDX = "application/spdx+json"
CYCLONEDX = "application/vnd.cyclonedx+json"
#: a Sigstore bundle, what cosign 3 writes and reads
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EXPLICIT = "application/vnd.condarium.lock.explicit.v1+text"
CONDA_LOCK = "application/vnd.condarium.lock.conda-lock.v1+yaml"
RATTLER_LOCK = "application/vnd.condarium.lock.rattler.v6+yaml"
SPECIFICATION = "application/vnd.condarium.environment.v1+yaml"
LOG = "application/vnd.condarium.build-log.v1+text"
CHANGES_MARKDOWN = "application/vnd.condarium.package-changes.v1+markdown"
CHANGES_JSON = "application/vnd.condarium.package-changes.v1+json"

TITLE = "org.opencontainers.image.title"

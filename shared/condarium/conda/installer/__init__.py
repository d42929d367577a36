"""Self-extracting installers out of the members of a tarball."""

"""Per-package pieces of images and tarballs: layers and members, the same bytes on every machine."""

"""The default base image: a small, reproducible layer out of Debian (or Ubuntu) packages.

`python -m deploy.base_image DIRECTORY` writes it as an OCI image layout, once; with `--from IMAGE` it takes any saved
image instead.
"""

"""The default base image: a small, reproducible layer out of Debian (or Ubuntu) packages.

`python -m deploy.base DIRECTORY` writes it as an OCI image layout, once; `python -m deploy.base DIRECTORY --from IMAGE`
takes any saved image instead.
"""

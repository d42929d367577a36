"""Condarium: builds and serves conda environments."""

__version__ = "0.1.0"

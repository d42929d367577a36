"""Wheels: which fit a platform, and how their files lie in an environment."""

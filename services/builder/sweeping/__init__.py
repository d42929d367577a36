"""The builder's part of a sweep: prefixes on its store, the package cache, and what was swept and is wanted again."""

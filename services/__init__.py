"""The five services; each is run as `python -m services.<name>` and none imports another."""

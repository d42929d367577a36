"""The REST client: what the command line and other programs use."""

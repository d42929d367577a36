"""The client that waits. Made of `asynchronous` by `make client`: edit that."""

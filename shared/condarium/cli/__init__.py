"""The command line `condarium`."""

"""The edge: nameko runs the process; what wakes it is the file system, so there is no handler of events."""


class Watcher:
    name = "watcher"

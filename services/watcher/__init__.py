"""The watcher: submits the specification files of watched directories when they appear or change, and keeps the index
of what channels have.

Wakes on: the file system (`CONDARIUM_WATCHER_DIRECTORIES`); reads everything through every minute besides. Parts of
          channels that are due (`CONDARIUM_INDEX_SECONDS`).
Emits:    `build.queued`, `build.canceled` (a build that a newer version of its file overtook in the queue),
          `specification.invalid`.
Reads:    the watched directories, builds; repodata of the indexed channels.
Writes:   specifications and builds, by the same submission as the API; what it has seen of each file; channels and
          their packages.

In a watched directory every `*.yml` and `*.yaml` directly in it counts, and every `environment.yml` or
`environment.yaml` below it. Hidden files and directories, editors' files, conda environments and `node_modules` do not.
A file that disappears changes nothing; neither does one that cannot be read, until it can.

Besides the five files: `sources` (which files there are, and their bytes), `listener` (hints of the kernel, and where
it gives none), `watching` (when a file is quiet enough to be read); `indexing` (a thread that claims what is due),
`indexing_plan` (its part of the settings), `indexer` (its child process, which reads one part of a channel) and
`channel_part` (how).
"""

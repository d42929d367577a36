"""The builder: takes queued builds, solves them into locks, links them into prefixes.

Wakes on: `build.queued`, `build.canceled`, `environment.updated`, `environment.deleted`; Postgres's notifications, for
          solves; a poll behind them.
Emits:    `build.queued` (another attempt), `build.started`, `build.solved`, `build.completed`, `build.failed`,
          `build.canceled`, `environment.updated`.
Reads:    builds, specifications, environments, stores, solves, credentials.
Writes:   the answers of solves; builds by their legal moves, the environment's current build, locks, prefixes, log
          chunks, the requests for eager artifacts; prefixes and symlinks on its store.

Besides the five files: `attempt` (one attempt of one build), `slots` (who runs attempts), `solving` (solves without a
build, in slots of their own), `logbook` (the log while it grows), `store` (the directory of prefixes and its disk),
`symlink` (the rendering of where an environment points), `housekeeping` (what keeps the store tidy), `engine` with
`engine_phases`, `engine_lockfile`, `engine_report` and `job` (the child that solves and links, forked from a nursery),
`job_making` (what it is given, with the credentials that it needs), `relinking` (prefixes that are linked once
more: swept ones that are wanted again, damaged ones), `sweeping` (garbage on the store and in the package cache;
prefixes against their locks).
"""

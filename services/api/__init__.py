"""The gateway: conda-store's REST contract, events as SSE, downloads, the first-steps page. It decides nothing.

Wakes on: HTTP; Postgres's notifications, for event streams, waiting downloads and solves.
Emits:    `build.queued`, `build.canceled`, `environment.updated`, `environment.deleted`, `artifact.requested`.
Reads:    everything that is shown; storage for downloads.
Writes:   specifications, builds (QUEUED, cancel asked, deleted), environments (current build, description, deleted),
          requests for artifacts, labels of builds, solves, settings.

Besides the five files. `endpoint` makes a route of a plain function (caller, query, body, transaction, envelope),
`declaration` is what a route promises to answer, `replies/` the models of that (near no hot path: they describe),
`openapi/` is the description made of them and its page, `bodies` are the models of queries and bodies, `moments` the
times in them, `wire` is rows as JSON, `lists` are pages as JSON text, `addresses` is the prefix and the slashes. The
routes of one subject each, one line for each subject:
- `health`: what operators ask; `pages`: HTML; `ui`: the conda-store web UI; `admin/`: what that lacks
- `status`: version and permissions
- `namespaces`, `namespace_roles`, `tokens`, `users`, `login/` (form, login provider, cookie)
- `settings` (by level), `usage` (and quotas)
- `environments`, `specifications` (`intake` reads them, lockfiles too), `builds`
- `solves` (without a build; `asking` waits for them)
- `packages` (what the indexed channels have, and the channels)
- `artifacts`, `downloads` (what /storage serves), `joining` (a tarball as one object), `streams` (SSE)
- `audit` (its list and export; `auditing` writes it)
- `credentials` (of channels, indexes and registries)
- `publishing` (rules that send images to other registries)
- `base_images` (what images stand on)
- `garbage` (sweeps, verifications, pins, what keeps things)
- `signing` (the keys that sign images, bills of materials)
"""

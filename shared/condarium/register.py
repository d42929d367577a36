"""The names, kinds, defaults and sentences of every setting. `config.py` gives the kinds their meaning.

Rows are (name without `CONDARIUM_`, kind, default text or None, description). Units stand in the name.
A kind is a word, or a tuple of a word and its bounds; ("secret", kind) is never printed.
"""

from typing import Any

_SERVER: list[tuple[str, Any, str | None, str]] = [
    (
        "DATABASE_URL",
        ("secret", ("url", "postgresql")),
        None,
        "the Postgres database, postgresql://user:password@host:port/name",
    ),
    (
        "AMQP_URL",
        ("secret", ("url", "amqp", "amqps")),
        None,
        "the RabbitMQ virtual host, amqp://user:password@host:port/vhost",
    ),
    (
        "STORAGE_URL",
        ("secret", ("url", "file", "s3", "memory")),
        None,
        "where bytes are kept: file:///directory or s3://key:secret@host:port/bucket",
    ),
    (
        "SECRET",
        ("secret", "text"),
        None,
        "the key that signs download addresses and cookies, and encrypts credentials; any long random text, the same for all services",
    ),
    (
        "SECRET_PREVIOUS",
        ("secret", "text"),
        None,
        "what CONDARIUM_SECRET was before it was changed: credentials that are encrypted under it are read with it, and encrypted anew when a gateway starts",
    ),
    ("ADMIN_TOKEN", ("secret", "text"), None, "the token of the administrator (Bearer, or password of Basic)"),
    ("LOG_LEVEL", ("word", "debug", "info", "warning", "error"), "info", "the least severity that is logged"),
    ("BIND", "text", "127.0.0.1", "the address that HTTP servers listen on"),
    (
        "HEALTH_PORT",
        ("integer", 0, 65535),
        "0",
        "the port of /healthz, /readyz and /metrics of a service without HTTP of its own; 0 takes a free one",
    ),
    ("EXTERNAL_URL", ("url", "http", "https"), "http://127.0.0.1:8080", "the gateway's address as clients see it"),
    ("REGISTRY_EXTERNAL", "text", "127.0.0.1:5000", "the registry's host:port as docker clients see it"),
    ("DATABASE_POOL_SIZE", ("integer", 1, 200), "8", "connections a process may hold"),
    ("DEFAULT_NAMESPACE", "text", "default", "the namespace that is meant where none is named"),
]
_ACCESS: list[tuple[str, Any, str | None, str]] = [
    (
        "ANONYMOUS_BINDINGS",
        "mapping",
        '{"{default}/*": ["viewer"]}',
        "JSON {ARN: [roles]} of everybody, logged in or not; {default} is the default namespace",
    ),
    (
        "AUTHENTICATED_BINDINGS",
        "mapping",
        '{"{default}/*": ["viewer"], "{primary}/*": ["admin"]}',
        "JSON {ARN: [roles]} of those who have logged in; {primary} is their own namespace, never the default one",
    ),
    (
        "SERVICE_TOKENS",
        ("secret", "mapping"),
        "{}",
        'JSON {token: {"name", "primary_namespace", "role_bindings": {ARN: [roles]}}} of programs that need no login',
    ),
]
_LOGIN: list[tuple[str, Any, str | None, str]] = [
    ("TOKEN_SECONDS", ("integer", 60, 1 << 31), "86400", "how long a token or a login lives when nothing is asked for"),
    ("TOKEN_MAX_SECONDS", ("integer", 60, 1 << 31), "31536000", "the longest life of a token that may be asked for"),
    (
        "DEVELOPMENT_LOGIN",
        "boolean",
        "false",
        "any user name logs in with the administrator's token as the password; only where CONDARIUM_BIND is loopback",
    ),
    ("LOGIN_PROVIDER", ("word", "none", "oidc", "github", "jupyterhub"), "none", "who vouches for people that log in"),
    (
        "LOGIN_ISSUER",
        ("url", "http", "https"),
        None,
        "the provider's address: of an OIDC issuer, of JupyterHub with its base path; unset for github.com",
    ),
    ("LOGIN_CLIENT_ID", "text", None, "what the provider calls this installation"),
    ("LOGIN_CLIENT_SECRET", ("secret", "text"), None, "what this installation proves itself to the provider with"),
    ("LOGIN_SCOPES", "words", "", "what is asked of the provider; empty means what its kind needs"),
    ("LOGIN_USERNAME_CLAIM", "text", "", "the claim that names people; empty means that of the provider's kind"),
    (
        "LOGIN_ALLOWED",
        "lists",
        "{}",
        'JSON {claim: [patterns]}, such as {"groups": ["staff"]}: who may log in, by any of them; empty means all',
    ),
    (
        "LOGIN_BINDINGS",
        "mapping",
        "{}",
        'JSON {claim: {pattern: {ARN: [roles]}}}, such as {"groups": {"data-*": {"{value}/*": ["editor"]}}}; '
        "{value} is what fitted, {username} the user",
    ),
    ("LOGIN_ATTEMPTS", ("integer", 1, 10000), "10", "failed logins of one user name within the window"),
    ("LOGIN_ADDRESS_ATTEMPTS", ("integer", 1, 100000), "50", "failed logins from one address within the window"),
    ("LOGIN_WINDOW_SECONDS", ("number", 1, 86400), "300", "the window in which failed logins are counted"),
    (
        "ALLOWED_ORIGINS",
        "words",
        "",
        "other origins whose pages may use a login, such as https://jupyter.example.org; the gateway's own needs none",
    ),
    (
        "TRUSTED_PROXIES",
        "words",
        "",
        "addresses and networks of proxies whose Forwarded and X-Forwarded-* headers are believed, such as 10.0.0.0/8",
    ),
]
_HTTP: list[tuple[str, Any, str | None, str]] = [
    ("API_PORT", ("integer", 0, 65535), "8080", "the gateway's port"),
    ("API_URL_PREFIX", "text", "/conda-store", "the path under which the REST contract is served besides /"),
    (
        "API_SOLVE_SECONDS",
        ("number", 1, 3600),
        "60",
        "how long a request waits for a solve; then it is 503, and asking again goes on waiting for the same solve",
    ),
    (
        "API_SOLVE_FRESH_SECONDS",
        ("number", 0, 86400),
        "60",
        "how long the answer of a solve is given again without looking at the channels",
    ),
    ("API_SOLVES_PER_PRINCIPAL", ("integer", 1, 10000), "4", "solves that one principal may have under way"),
    ("API_MAX_BODY_BYTES", ("integer", 1024, 1 << 30), "2097152", "the largest request body"),
    ("UI", "path", None, "directory of the web UI as `python -m deploy.ui` writes it; unset, /ui/ says how to get it"),
    (
        "AUDIT_RETENTION_DAYS",
        ("number", 0, 36500),
        "365",
        "how long rows of the audit log are kept; 0 keeps them for ever",
    ),
    ("REGISTRY_PORT", ("integer", 0, 65535), "5000", "the registry's port"),
    (
        "REGISTRY_TLS_CERTIFICATE",
        "path",
        None,
        "PEM file of the registry's certificate with those between it and its authority; unset, a proxy does TLS or nobody",
    ),
    ("REGISTRY_TLS_KEY", "path", None, "PEM file of the private key of CONDARIUM_REGISTRY_TLS_CERTIFICATE"),
    (
        "REGISTRY_MANIFESTS_PER_MINUTE",
        ("integer", 0, 10_000_000),
        "0",
        "manifests that one principal may ask of each registry process in a minute; 0 is no limit",
    ),
    (
        "REGISTRY_BLOBS_PER_MINUTE",
        ("integer", 0, 10_000_000),
        "0",
        "blobs that one principal may ask of each registry process in a minute; 0 is no limit",
    ),
    (
        "REGISTRY_ANONYMOUS_MANIFESTS_PER_MINUTE",
        ("integer", 0, 10_000_000),
        "0",
        "the same of manifests for an address that shows no credentials; 0 is no limit",
    ),
    (
        "REGISTRY_ANONYMOUS_BLOBS_PER_MINUTE",
        ("integer", 0, 10_000_000),
        "0",
        "the same of blobs for an address that shows no credentials; 0 is no limit",
    ),
    ("REGISTRY_WAIT_SECONDS", ("number", 0, 3600), "600", "how long a pull waits for an image that is being made"),
]
_CONDA: list[tuple[str, Any, str | None, str]] = [
    (
        "CHANNEL_ALIAS",
        ("url", "http", "https", "file"),
        "https://conda.anaconda.org",
        "what a bare channel name is appended to",
    ),
    ("DEFAULT_CHANNELS", "words", "conda-forge", "the channels of a specification that names none"),
    ("CHANNEL_MIRRORS", "lists", "{}", "JSON {channel name or URL: [mirror URLs in order]}"),
    ("CHANNEL_MIRROR_LABELS", "mapping", "{}", "JSON {channel name or URL: what its mirror is called in messages}"),
    (
        "CHANNEL_CREDENTIALS",
        ("secret", "mapping"),
        "{}",
        'JSON {URL prefix: {"username","password"}, {"token"} (Bearer) or {"conda_token"} (put into the path as /t/TOKEN/)}; never part of a specification',
    ),
    (
        "PIP_INDEX_URL",
        ("secret", ("url", "http", "https", "file")),
        None,
        "the package index of pip sections; may hold credentials; unset means the installer's own configuration",
    ),
    ("HTTP_PROXY", ("secret", "text"), None, "proxy for http:// channels and indexes"),
    ("HTTPS_PROXY", ("secret", "text"), None, "proxy for https:// channels and indexes"),
    ("NO_PROXY", "text", None, "hosts reached without a proxy, comma-separated"),
    (
        "SETTINGS",
        "mapping",
        "{}",
        "JSON {key: value} of docs/settings.md, for what has no variable of its own; what is set over REST comes first",
    ),
    ("CA_BUNDLE", "path", None, "PEM file of the certificate authorities to trust"),
    ("PLATFORMS", "words", "linux-64", "the platforms of a specification that names none"),
    ("VIRTUAL_PACKAGES", "lists", "{}", 'JSON {platform: ["__glibc=2.28", ...]}; never detected from a host'),
    (
        "LINK_SCRIPTS",
        "boolean",
        "false",
        "run the link scripts of packages (code of strangers) in a prefix linked by copy",
    ),
]
_WORK: list[tuple[str, Any, str | None, str]] = [
    ("STORE", "path", None, "the directory of prefixes; the same for all builders of a store"),
    ("CACHE", "path", None, "the package cache; on the store's file system, so that packages are hard-linked"),
    ("LEASE_SECONDS", ("number", 1, 3600), "30", "how long a claimed row stays claimed without a heartbeat"),
    ("HEARTBEAT_SECONDS", ("number", 0.05, 60), "2", "how often a lease is extended and a cancel is looked for"),
    ("POLL_SECONDS", ("number", 0.05, 60), "2", "how often work is looked for when no event comes"),
    ("MAX_ATTEMPTS", ("integer", 1, 100), "5", "how often a piece of work is tried before it fails"),
    ("RETRY_BASE_SECONDS", ("number", 0.05, 3600), "10", "the wait after the first failed attempt; doubles each time"),
    ("RETRY_CAP_SECONDS", ("number", 1, 86400), "600", "the longest wait between two attempts"),
    ("BUILDER_SLOTS", ("integer", 1, 64), "2", "builds a builder runs at a time"),
    (
        "BUILDER_SOLVE_SLOTS",
        ("integer", 0, 64),
        "1",
        "solves without a build that a builder runs at a time, beside its builds; 0 leaves them to other builders",
    ),
    ("BUILDER_TIME_LIMIT_SECONDS", ("number", 1, 86400), "3600", "the longest that one attempt of a build may take"),
    ("BUILDER_SOLVE_LIMIT_SECONDS", ("number", 1, 3600), "300", "the longest that a solve may take"),
    (
        "BUILDER_DRAIN_SECONDS",
        ("number", 0, 3600),
        "20",
        "how long a stopping builder lets its builds finish before it gives them back",
    ),
    ("BUILDER_MEMORY_BYTES", ("integer", 0, 1 << 42), "0", "address space of a build's child process; 0 is no limit"),
    (
        "BUILDER_DISK_SOFT_PERCENT",
        ("number", 1, 100),
        "85",
        "the store's disk use above which the package cache is evicted",
    ),
    ("BUILDER_DISK_HARD_PERCENT", ("number", 1, 100), "95", "the store's disk use above which no build is started"),
    ("BUILDER_LOG_BYTES", ("integer", 1024, 1 << 30), "16777216", "the longest log of one attempt of a build"),
    (
        "ARTIFACTS",
        "words",
        "LOCKFILE,YAML,LOGS,CONDA_PACK,DOCKER_MANIFEST",
        "what is made for every build without being asked",
    ),
    ("PACKAGER_SLOTS", ("integer", 1, 64), "2", "renderings a packager makes at a time"),
    (
        "PACKAGER_PUBLISH_SLOTS",
        ("integer", 0, 64),
        "2",
        "images a packager pushes to other registries at a time; 0 leaves them to other packagers",
    ),
    ("PACKAGER_CACHE", "path", None, "the packager's cache of downloaded archives"),
    ("PACKAGER_CACHE_BYTES", ("integer", 0, 1 << 44), "10737418240", "the most bytes the packager's cache may hold"),
    ("LAYER_BUDGET", ("integer", 3, 100), "40", "the most layers of an image, base included"),
    (
        "BASE_IMAGE",
        "path",
        None,
        "directory of the base image as `python -m deploy.base_image` writes it, or an OCI layout; unset means the stored default",
    ),
    (
        "WATCHER_DIRECTORIES",
        "lists",
        "{}",
        "JSON {namespace: [directories]} that are watched for environment.yml files",
    ),
    (
        "WATCHER_RESCAN_SECONDS",
        ("number", 0.2, 3600),
        "60",
        "how often watched directories are read through even without an event",
    ),
    ("WATCHER_QUIET_SECONDS", ("number", 0.05, 60), "0.3", "how long a file must be quiet before it is read"),
    (
        "INDEXED_CHANNELS",
        "words",
        None,
        "the channels whose packages can be searched, for everybody who may read channels; unset means the default channels, [] none",
    ),
    ("INDEX_SECONDS", ("number", 0.2, 604800), "1800", "how often an indexed channel is asked for news"),
    (
        "WATCHER_POLLING",
        ("word", "auto", "always", "never"),
        "auto",
        "poll instead of listening to the kernel; auto polls network file systems",
    ),
]
_CLIENT: list[tuple[str, Any, str | None, str]] = [
    ("API_URL", ("url", "http", "https"), None, "client: the gateway's address"),
    ("REGISTRY", "text", None, "client: the registry's host:port"),
    ("TOKEN", ("secret", "text"), None, "client: the token to log in with"),
    ("NAMESPACE", "text", None, "client: the namespace that is meant where none is named"),
    (
        "SUBSCRIBER_AMQP_URL",
        ("secret", ("url", "amqp", "amqps")),
        None,
        "client: the broker account of event subscribers",
    ),
]
_COMPOSE: list[tuple[str, Any, str | None, str]] = [
    ("IMAGE", "text", "condarium:latest", "compose: the image of the five services"),
    ("PYTHON_IMAGE", "text", "python:3.12-slim", "compose: the image that it is built on"),
    ("PIP_OPTIONS", "text", None, "compose: further options of pip while the image is built"),
    ("POSTGRES_IMAGE", "text", "postgres:18", "compose: the image of the database"),
    ("RABBITMQ_IMAGE", "text", "rabbitmq:4", "compose: the image of the broker"),
    ("S3_IMAGE", "text", "chrislusf/seaweedfs:4.48", "compose: the image of the blob store"),
    ("POSTGRES_PASSWORD", ("secret", "text"), None, "compose: the database's password; letters and digits"),
    ("RABBITMQ_PASSWORD", ("secret", "text"), None, "compose: the broker's password; letters and digits"),
    ("SUBSCRIBER_PASSWORD", ("secret", "text"), None, "compose: the password of the broker account of subscribers"),
    ("S3_SECRET_KEY", ("secret", "text"), None, "compose: the secret key of the blob store; letters and digits"),
    (
        "S3_EXTERNAL_URL",
        ("url", "http", "https"),
        "http://127.0.0.1:8333",
        "compose: the blob store's address as clients see it",
    ),
    ("PUBLISH_ADDRESS", "text", "127.0.0.1", "compose: the address of this host that ports are published on"),
    ("PUBLISH_API_PORT", ("integer", 1, 65535), "8080", "compose: the gateway's published port"),
    ("PUBLISH_REGISTRY_PORT", ("integer", 1, 65535), "5000", "compose: the registry's published port"),
    ("PUBLISH_S3_PORT", ("integer", 1, 65535), "8333", "compose: the blob store's published port"),
    ("PUBLISH_AMQP_PORT", ("integer", 1, 65535), "5672", "compose: the broker's published port, for subscribers"),
    ("STORE_VOLUME", "text", "store", "compose: the volume, or the directory of this host, that CONDARIUM_STORE is on"),
    ("WATCHED", "text", "./environments", "compose: the directory of this host that is watched"),
]
_LOCAL: list[tuple[str, Any, str | None, str]] = [
    ("DATA_DIR", "path", None, "one-machine run: where its data lies"),
    ("STORAGE", ("word", "file", "s3"), "file", "one-machine run: the kind of private storage"),
    ("TEST_CACHE", "path", None, "tests: where what is slow to make is kept between runs"),
]

REGISTER = _SERVER + _ACCESS + _LOGIN + _HTTP + _CONDA + _WORK + _CLIENT + _COMPOSE + _LOCAL

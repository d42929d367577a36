"""What every field of every event means, for the documents made of them; a test asserts that none is missing."""

from typing import Any

_SHA = "3f7a1c0e5d2b49866e0cbb1f0a4d7c93e1b58a2f6d90c4e7a8b3f5d1c2e60b94"

#: field name: (sentence, example)
FIELDS: dict[str, tuple[str, Any]] = {
    "namespace": ("name of the namespace", "default"),
    "environment": ("name of the environment; may be empty where a file does not say one", "data-science"),
    "actor": ("who caused it: a principal's name, or a service", "admin"),
    "build": ("id of the build; null where the environment has none", 42),
    "generation": ("counts the builds of an environment from 1", 3),
    "specification": ("sha256 of the specification's canonical JSON", _SHA),
    "locks": ("platform: hash of its lock; empty until the build is solved", {"linux-64": _SHA[::-1]}),
    "attempt": ("counts the attempts of a build from 1", 1),
    "current": ("whether the environment points to this build now", True),
    "reason": ("kebab-case word, one of those in docs/operating.md", "unsolvable"),
    "message": ("the sentence for people", "nothing provides python >=4 needed by data-science"),
    "rule": ("name of the publish rule", "hub"),
    "registry": ("scheme and host of another registry", "https://registry.example.org"),
    "repository": ("the repository there", "default/data-science"),
    "tags": ("what the image is called there", ["g3", "latest"]),
    "requested": ("true when a running build was asked to end; false when it has ended", False),
    "failed": ("the artifacts that could not be made", ["CONDA_PACK"]),
    "artifact": ("type of the artifact", "CONDA_PACK"),
    "digest": ("sha256 of what is served (of the manifest, for an image)", _SHA),
    "size": ("bytes", 104857600),
    "path": ("the watched file, as configured", "/specs/data-science/environment.yml"),
}

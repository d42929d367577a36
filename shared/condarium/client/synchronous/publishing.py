# Made of `asynchronous` by `make client`: edit that.
"""Rules that push images to other registries."""

from collections.abc import Sequence
from typing import Any

from condarium.client.models import Publication, PublishRule
from condarium.client.synchronous.connection import Connection


class Publishing(Connection):
    """What a namespace sends elsewhere."""

    def publish_rules(self, namespace: str) -> list[PublishRule]:
        """By name."""
        return self._ask(list[PublishRule], "GET", self._at("namespace", namespace, "publishing"))

    def put_publish_rule(
        self,
        namespace: str,
        name: str,
        *,
        registry: str,
        repository: str | None = None,
        environments: Sequence[str] = ("*",),
        tags: Sequence[str] | None = None,
        referrers: bool = True,
    ) -> PublishRule:
        """Images of environments that fit are pushed from now on, the current ones at once. `repository` may have
        {namespace} and {environment}; `tags` are words such as latest, generation, key, lock, labels.
        """
        content: dict[str, Any] = {"registry": registry, "environments": list(environments), "referrers": referrers}
        if repository is not None:
            content["repository"] = repository
        if tags is not None:
            content["tags"] = list(tags)
        path = self._at("namespace", namespace, "publishing", name)
        return self._ask(PublishRule, "PUT", path, json=content, repeatable=True)

    def delete_publish_rule(self, namespace: str, name: str) -> None:
        """What it has sent stays where it is. Raises NotThere."""
        self._say("DELETE", self._at("namespace", namespace, "publishing", name))

    def publications(self, namespace: str, *, rule: str = "", state: str = "", limit: int = 100) -> list[Publication]:
        """What the rules send, the newest first."""
        query = {"rule": rule, "state": state, "limit": limit}
        params = {name: value for name, value in query.items() if value}
        return self._ask(list[Publication], "GET", self._at("namespace", namespace, "publications"), params=params)

    def retry_publication(self, namespace: str, publication_id: int) -> None:
        """Another try of what has failed, or another push of what is there. Raises NotThere."""
        self._say("POST", self._at("namespace", namespace, "publications", str(publication_id)))

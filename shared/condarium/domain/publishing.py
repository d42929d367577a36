"""Rules that send images to other registries: what one may say, and what it makes of names. Pure."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from condarium.domain.credential import check_url
from condarium.domain.labels import tag_of
from condarium.domain.naming import encode_oci, encode_tag
from condarium.errors import InputFault, InvalidInput

MOST_RULES = 20
MOST_PATTERNS = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_PATTERN = re.compile(r"[A-Za-z0-9_.*?\[\]!+-]{1,255}\Z")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*\Z")
_FIELD = re.compile(r"\{[^{}]*\}")
_LONGEST_REPOSITORY = 255
NAMESPACE, ENVIRONMENT = "{namespace}", "{environment}"


class Tag(StrEnum):
    """What an image is called in the other registry."""

    #: while its build is the current one of its environment
    LATEST = "latest"
    #: g1, g2, ...
    GENERATION = "generation"
    #: the build's key
    KEY = "key"
    #: the hash of the lock, of the main platform where there are several
    LOCK = "lock"
    #: `key-value` of each label of the build
    LABELS = "labels"


#: of a rule that says nothing else
DEFAULT_TAGS = (Tag.LATEST, Tag.GENERATION)
DEFAULT_REPOSITORY = f"{NAMESPACE}/{ENVIRONMENT}"


@dataclass(frozen=True)
class Rule:
    """Where to, and what of a namespace. `registry` is scheme and host, `environments` are shell patterns."""

    registry: str
    repository: str = DEFAULT_REPOSITORY
    environments: tuple[str, ...] = ("*",)
    tags: tuple[str, ...] = DEFAULT_TAGS
    referrers: bool = True

    def fits(self, environment: str) -> bool:
        return any(fnmatch.fnmatchcase(environment, pattern) for pattern in self.environments)

    def repository_of(self, namespace: str, environment: str) -> str:
        """Names as registries allow them: characters that they do not are `--xHH`, as in our own repositories.

        Raises InputFault where that is no repository.
        """
        made = self.repository.replace(NAMESPACE, encode_oci(namespace)).replace(ENVIRONMENT, encode_oci(environment))
        if len(made) > _LONGEST_REPOSITORY or not all(_COMPONENT.match(part) for part in made.split("/")):
            raise InputFault(f"the rule makes {made[:300]!r} of the names, which is no repository", reason="bad-rule")
        return made


def check_rule_name(name: str) -> str:
    """Raises InvalidInput."""
    if not _NAME.match(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot name a rule: allowed are 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit"
        )
    return name


def check_rule(rule: Rule) -> Rule:
    """The rule in its normal form. Raises InvalidInput that names the field."""
    registry = rule.registry if "://" in rule.registry else f"https://{rule.registry}"
    try:
        registry = check_url(registry)
    except InvalidInput as error:
        raise InvalidInput(f"registry: {error}") from None
    if registry.count("/") > 2:
        raise InvalidInput(
            f"registry: {registry!r} has a path; name the host alone, and put the path before the repository: "
            f"team/{ENVIRONMENT}"
        )
    _check_repository(rule.repository, rule.environments)
    if not 0 < len(rule.environments) <= MOST_PATTERNS:
        raise InvalidInput(f"environments: name 1 to {MOST_PATTERNS} patterns, such as * or prod-*")
    for pattern in rule.environments:
        if not _PATTERN.match(pattern):
            raise InvalidInput(f"environments: {pattern[:80]!r} is no pattern of names; * ? and [...] stand for others")
    known = [tag.value for tag in Tag]
    for tag in rule.tags:
        if tag not in known:
            raise InvalidInput(f"tags: {tag[:80]!r} is none; there are {', '.join(known)}")
    if not rule.tags:
        raise InvalidInput(f"tags: name at least one of {', '.join(known)}")
    tags = tuple(tag for tag in known if tag in rule.tags)
    return Rule(registry, rule.repository, tuple(dict.fromkeys(rule.environments)), tags, rule.referrers)


def _check_repository(template: str, environments: Sequence[str]) -> None:
    more = [field for field in _FIELD.findall(template) if field not in (NAMESPACE, ENVIRONMENT)]
    if more:
        raise InvalidInput(f"repository: {more[0][:80]} is not known; there are {NAMESPACE} and {ENVIRONMENT}")
    tried = template.replace(NAMESPACE, "n").replace(ENVIRONMENT, "e")
    if len(template) > _LONGEST_REPOSITORY or not all(_COMPONENT.match(part) for part in tried.split("/")):
        raise InvalidInput(
            f"repository: {template[:80]!r} is none; lower-case letters and digits with single . _ or dashes between "
            f"them, parts with slashes between them, {NAMESPACE} and {ENVIRONMENT}"
        )
    if ENVIRONMENT not in template and (len(environments) > 1 or set("".join(environments)) & set("*?[")):
        raise InvalidInput(f"repository: without {ENVIRONMENT} all environments would overwrite each other there")


def tags_of(
    wanted: Iterable[str], *, is_current: bool, generation: int, key: str, lock: str, labels: Mapping[str, str]
) -> list[str]:
    """The tags of a build's image, in the order in which they are put."""
    asked = set(wanted)
    found: list[str | None] = []
    if Tag.LOCK in asked:
        found.append(lock)
    if Tag.KEY in asked:
        found.append(encode_tag(key))
    if Tag.GENERATION in asked:
        found.append(f"g{generation}")
    if Tag.LABELS in asked:
        found += [tag_of(name, value) for name, value in sorted(labels.items())]
    if Tag.LATEST in asked and is_current:
        found.append("latest")
    return [tag for tag in dict.fromkeys(found) if tag]

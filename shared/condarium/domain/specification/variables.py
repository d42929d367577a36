"""The variables of an environment.yml."""

import re
from collections.abc import Mapping

from condarium.domain.credentials import has_credential, show
from condarium.domain.specification.nodes import Entries, Node, Scalar, describe, fault
from condarium.domain.specification.overrides import PREFIX as OVERRIDE_PREFIX
from condarium.domain.specification.overrides import problem_of

MAX_VARIABLE = 32 * 1024
# Set by activation itself.
RESERVED = frozenset({"PATH", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_PROMPT_MODIFIER", "CONDA_SHLVL"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}\Z")


def parse_variables(node: Node | None) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The runtime variables, and the CONDA_OVERRIDE_* ones."""
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        return {}, {}
    if not isinstance(node, Entries):
        raise fault(f"found {describe(node)}; allowed is a mapping NAME: value", line=node.line, field="variables")
    variables: dict[str, str] = {}
    overrides: dict[str, str] = {}
    for name, item in node.entries.items():
        line = node.lines[name]
        if not _NAME.match(name):
            raise fault(
                f"{show(name)} is no name of a variable; allowed are A-Z a-z 0-9 and _, the first no digit",
                line=line,
                field="variables",
            )
        if name in RESERVED:
            raise fault(f"{name} is set by activation itself; use another name", line=line, field="variables")
        value = _variable(name, item)
        if name.startswith(OVERRIDE_PREFIX):
            if problem := problem_of(name, value):
                raise fault(problem, line=line, field=f"variables.{name}")
            overrides[name] = value
        else:
            variables[name] = value
    return variables, overrides


def _variable(name: str, item: Node) -> str:
    field = f"variables.{name}"
    allowed = "allowed are text, a number, true and false"
    if not isinstance(item, Scalar):
        raise fault(f"found {describe(item)}; {allowed}", line=item.line, field=field)
    text = item.text
    if item.kind == "null":
        raise fault(f"found nothing; {allowed}, and '' for an empty value", line=item.line, field=field)
    if len(text) > MAX_VARIABLE:
        raise fault(
            f"found {len(text):,} characters; at most {MAX_VARIABLE:,} are allowed", line=item.line, field=field
        )
    if re.search(r"https?://", text) and has_credential(text):
        raise fault(
            "found a URL with a credential in it (not shown): it would be written into every artifact; an index is a "
            "setting of the server (CONDARIUM_PIP_INDEX_URL), a channel's credential too "
            "(CONDARIUM_CHANNEL_CREDENTIALS), and others belong to whoever runs the environment",
            line=item.line,
            field=field,
        )
    return _as_conda_writes(item)


def _as_conda_writes(item: Scalar) -> str:
    """Python's text of the value: `true` is True, 1.10 is 1.1."""
    kind, text = item.kind, item.text
    if kind == "bool":
        return text.capitalize()
    if kind == "float":
        return str(float(text.lower().replace(".inf", "inf").replace(".nan", "nan")))
    if kind == "int" and len(text) <= 4000:
        return str(int(text, 0) if text[:2] in {"0o", "0x"} else int(text))
    return text

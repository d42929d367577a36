"""Each fault of an environment.yml is one error with the line or field, what was found and what is allowed."""

import pytest
import yaml

from condarium.conda.matchspec import check
from condarium.domain.specification import parse, reading
from condarium.errors import SpecificationError
from tests.fixtures.patience import within


def fault_of(text: str | bytes) -> SpecificationError:
    with within(2), pytest.raises(SpecificationError) as caught:
        parse(text, check_match_spec=check)
    assert len(str(caught.value)) < 900
    return caught.value


HEAD = "name: a\ndependencies:\n- python\n"

FAULTS: list[tuple[str, int | None, str]] = [
    ("name: a\nname: b\n", 2, "'name' is there twice (first in line 1)"),
    ("channels: [x]\ndependencies: [x]\n", None, "name: it is missing"),
    ("name:\ndependencies: [x]\n", 1, "name: it is missing"),
    ("name: 7\ndependencies: [x]\n", 1, "found a number ('7')"),
    ("name: a b\ndependencies: [x]\n", 1, "'a b' cannot name the environment: allowed are 1 to 64"),
    ("name: ../x\ndependencies: [x]\n", 1, "cannot name the environment"),
    ("name: a--xff\ndependencies: [x]\n", 1, "'--x' is kept for the escapes"),
    ("name: " + "a" * 65 + "\ndependencies: [x]\n", 1, "1 to 64"),
    (HEAD + "chanels: [x]\n", 4, "'chanels' is not known; allowed are name, channels"),
    (HEAD + "chanels: [x]\n", 4, "did you mean `channels`?"),
    (HEAD + "<<: {}\n", 4, "'<<' is not known"),
    (HEAD + "- numpy >=\n", 4, "'numpy >=' is not a match spec"),
    (HEAD + "- 3.11\n", 4, "found a number ('3.11')"),
    (HEAD + "-\n", 4, "found nothing"),
    (HEAD + "- [a]\n", 4, "found a list"),
    (HEAD + "- numpy: 2\n", 4, "a package is written as `numpy=VERSION`"),
    (HEAD + "- {}\n", 4, "an empty mapping"),
    (HEAD + "- pip: [a]\n- pip: [b]\n", 5, "a second pip section"),
    (HEAD + "- ./here/x-1-0.conda\n", 4, "is a path"),
    (HEAD + "- x[url='file:///etc/passwd']\n", 4, "is a path"),
    (HEAD + "- /srv/channel::x\n", 4, "is a directory"),
    ("name: a\n", None, "dependencies: there are none"),
    ("name: a\ndependencies: []\n", 2, "there are none"),
    ("name: a\ndependencies: python\n", 2, "allowed is a list"),
    ("name: a\ndependencies: [{pip: [flask]}]\n", 2, "add `- python`"),
    (HEAD + "channels: conda-forge\n", 4, "allowed is a list"),
    (HEAD + "channels: ['a b']\n", 4, "'a b' is no channel"),
    (HEAD + "channels: ['https://h/c?x']\n", 4, "is no channel"),
    (HEAD + "channels: ['file:///srv/channel']\n", 4, "CONDARIUM_CHANNEL_MIRRORS"),
    (HEAD + "channels: [" + ", ".join(f"c{n}" for n in range(65)) + "]\n", 4, "at most 64"),
    (HEAD + "platforms: [linux-65]\n", 4, "'linux-65' is no platform; allowed are"),
    (HEAD + "description: [a]\n", 4, "description: found a list"),
    (HEAD + "description: " + "x" * 65537 + "\n", 4, "at most 65,536"),
    (HEAD + "variables: [A]\n", 4, "a mapping NAME: value"),
    (HEAD + "variables:\n  A-B: 1\n", 5, "'A-B' is no name of a variable"),
    (HEAD + "variables:\n  PATH: /x\n", 5, "PATH is set by activation itself"),
    (HEAD + "variables:\n  A:\n", 5, "found nothing"),
    (HEAD + "variables:\n  A: {b: c}\n", 5, "found a mapping"),
    (HEAD + 'variables:\n  A: "\\0"\n', 5, "U+0000"),
    (HEAD + "variables:\n  CONDA_OVERRIDE_QPU: 1\n", 5, "allowed are CONDA_OVERRIDE_ARCHSPEC"),
    (HEAD + "variables:\n  CONDA_OVERRIDE_CUDA: new\n", 5, "found no version"),
    ("", None, "an empty document"),
    ("null", 1, "found nothing"),
    ("- a\n", 1, "found a list"),
    ("just words", 1, "found text"),
    (HEAD + "---\nname: b\n", 4, "a second document"),
    ("name: a\n\tdependencies: [x]\n", 2, "a tab where only spaces"),
    ("name: a\ndependencies:\n\t- x\n", 3, "a tab where only spaces"),
    ("name: @x\n", 1, "no value may begin with '@'"),
    ("name: [a\n", 2, "this is not YAML"),
    ("name: a: b\n", 1, "this is not YAML"),
    ("name: *nowhere\n", 1, "alias"),
    ("name: &a [*a]\n", 1, "alias"),
    ("? [a]\n: b\n", 1, "found a list as a key"),
    ("name: !!python/object/apply:os.system [x]\n", 1, "'!!python/object/apply:os.system'; tags are not allowed"),
    ("name: !local a\n", 1, "tags are not allowed"),
    ('name: "\\ud800"\n', 1, "Unicode"),
    ("name: a\x00b", 1, "U+0000"),
    ("name: a\ndescription: \x1b[31m", 2, "U+001B"),
    ("name: \udcff", None, "surrogate"),
    ("name: \uffff", None, "not YAML: unacceptable character"),
    ('{"name":\t"a"', 1, "not YAML"),
    (HEAD + "- " + "x" * 3000 + "\n", 4, "found 3,000 characters; at most 2,048"),
    (HEAD + "channels: ['https://h/" + "x" * 3000 + "']\n", 4, "found 3,010 characters; at most 2,048"),
    (HEAD + "- x[channel=./here]\n", 4, "is a directory"),
    (HEAD + "variables:\n  A: " + "x" * 40000 + "\n", 5, "at most 32,768"),
]


@pytest.mark.parametrize(
    ("text", "line", "words"), FAULTS, ids=[f"{n}-{words[:40]}" for n, (_, _, words) in enumerate(FAULTS)]
)
def test_a_fault_says_where_and_what(text: str, line: int | None, words: str) -> None:
    error = fault_of(text)
    assert words in str(error)
    assert error.line == line
    assert error.status == 400
    if line:
        assert str(error).startswith(f"line {line}")


PIP_FAULTS = [
    ("-r requirements.txt", "write its lines here"),
    ("-rrequirements.txt", "write its lines here"),
    ("-e .", "editable"),
    ("--index-url=https://example.org", "CONDARIUM_PIP_INDEX_URL"),
    ("--pre", "options are not allowed"),
    ("flask --hash=sha256:00", "hashes are locked"),
    ("./wheels/x.whl", "is a path"),
    ("x @ file:///srv/x.whl", "is a path"),
    ("x @ https://example.org/x-1.0.tar.gz", "is no wheel"),
    ("https://example.org/x.whl", "write `name @ https://example.org/x.whl`"),
    ("x @ git+https://example.org/x", "wheels at http(s) URLs"),
    ("flask >>2", "PEP 508"),
    ("x; " + "(" * 1500, "PEP 508"),
    ("x" * 3000, "at most 2,048"),
]


@pytest.mark.parametrize(("requirement", "words"), PIP_FAULTS)
def test_a_pip_line_is_a_requirement_and_nothing_else(requirement: str, words: str) -> None:
    error = fault_of(f"name: a\ndependencies:\n- python\n- pip:\n  - flask\n  - '{requirement}'\n")
    assert (error.line, error.field) == (6, "pip")
    assert words in str(error)


def test_bytes_that_are_not_utf8_name_their_line() -> None:
    error = fault_of(b"name: a\ndescription: caf\xe9\n")
    assert (error.line, "0xe9" in str(error)) == (2, True)
    assert "UTF-8" in str(fault_of("name: a".encode("utf-16")))


def test_the_parser_without_c_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LOADER", yaml.SafeLoader)
    for text, line, words in FAULTS:
        if "not YAML" not in words and "alias" not in words:
            error = fault_of(text)
            assert (error.line, words in str(error)) == (line, True), text
    assert "half of a surrogate pair" in str(fault_of('name: "\\ud800"\n'))


BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)),
    "long alias": "name: a\ndependencies: [&y '" + "y" * 2000 + "'" + ", *y" * 15000 + "]",
    "long variable": "name: a\nvariables: {A: &y '"
    + "y" * 30000
    + "'"
    + "".join(f", A{n}: *y" for n in range(5000))
    + "}",
    "flow lists": "[" * 1_000_000,
    "flow mappings": "{" * 1_000_000,
    "block lists": "- " * 500_000,
    "complex keys": "? " * 500_000,
    "many values": "name: a\ndependencies: [" + "x," * 500_000 + "]",
    "long word": "name: " + "x" * 1_000_000,
    "many schemes": "name: " + "a://b:c" * 140_000,
    "many tokens": "name: " + "://a/t/b" * 120_000,
    "open quote": "'" + "a" * 1_000_000,
    "10 MB": "name: a\n" + "# comment\n" * 1_000_000,
    "10 MB of two bytes": "é" * 1_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_quickly(name: str) -> None:
    error = fault_of(BOMBS[name])
    assert "allowed" in str(error) or "YAML" in str(error) or "deep" in str(error)


SECRETS = [
    (HEAD + "channels: ['https://me:{0}@example.org/c']\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "channels: ['https://{0}@example.org/c']\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "channels: ['https://me:pa/{0}@example.org/c']\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "channels: ['https://example.org/t/{0}/c']\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "channels: ['t/{0}/c']\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "channels: ['t/{0}']\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "- https://me:{0}@example.org/c::x\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "- https://example.org/t/{0}/c::x\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "- t/{0}/c::x\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "- x[channel='https://me:{0}@example.org/c']\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "- https://example.org/t/{0}/c/noarch/x-1-0.conda\n", "CONDARIUM_CHANNEL_CREDENTIALS"),
    (HEAD + "- pip: ['--index-url https://me:{0}@example.org/simple']\n", "CONDARIUM_PIP_INDEX_URL"),
    (HEAD + "- pip: ['x @ https://me:{0}@example.org/x.whl']\n", "CONDARIUM_PIP_INDEX_URL"),
    (HEAD + "- pip: ['git+https://{0}@example.org/x']\n", "CONDARIUM_PIP_INDEX_URL"),
    (HEAD + "variables: {{PIP_INDEX_URL: 'https://me:{0}@example.org'}}\n", "CONDARIUM_PIP_INDEX_URL"),
    ("name: 'https://me:{0}@example.org'\ndependencies: [x]\n", "name"),
    ("'https://me:{0}@example.org': 1\n", "not known"),
    ("'https://me:{0}@example.org': 1\n'https://me:{0}@example.org': 1\n", "twice"),
    (HEAD + "- 'https://me:{0}@example.org': 1\n", "mapping"),
    (HEAD + "platforms: ['https://example.org/t/{0}/c']\n", "no platform"),
]


@pytest.mark.parametrize(("template", "words"), SECRETS)
def test_a_credential_is_refused_and_never_repeated(template: str, words: str) -> None:
    error = fault_of(template.format("s3cr3t.W0rd"))
    assert words in str(error)
    assert "s3cr3t" not in str(error)

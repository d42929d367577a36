"""Patterns, roles and bindings: what they let through, what they hold, and that nobody gives more than they have."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condarium.domain import access
from condarium.domain.access import (
    ADMIN,
    ANONYMOUS,
    SYSTEM,
    Action,
    Binding,
    Principal,
    Resource,
    Role,
    Visible,
    bindings_as_json,
    covers,
    may,
    missing,
    parse_bindings,
    visible,
)
from condarium.domain.arn import EVERYTHING, Arn, matches, parse_arn, widest
from condarium.domain.defaults import Defaults
from condarium.domain.roles import OF_THE_INSTALLATION, PERMISSIONS, parse_role
from condarium.errors import ConfigError, InvalidInput
from tests.fixtures.patience import within

NAMES = st.text("ab", max_size=6)
PATTERNS = st.text("ab*", max_size=6)


def holder(bindings: dict[str, list[str]]) -> Principal:
    return Principal("p", parse_bindings(bindings), is_authenticated=True)


# -- patterns --------------------------------------------------------------------------------------------------------


@given(PATTERNS, NAMES)
def test_a_pattern_matches_as_the_regular_expression_would(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    assert matches(pattern, text) is expected


@given(PATTERNS, PATTERNS, NAMES)
def test_what_a_pattern_covers_it_matches(wide: str, narrow: str, text: str) -> None:
    if matches(wide, narrow) and matches(narrow, text):
        assert matches(wide, text)


@given(PATTERNS, PATTERNS)
def test_covering_is_complete(wide: str, narrow: str) -> None:
    """A letter that the wide pattern does not know stands for whatever a `*` may be."""
    if matches(wide, narrow.replace("*", "z")):
        assert matches(wide, narrow)


def test_a_hostile_pattern_takes_no_time() -> None:
    with within(1):
        for _ in range(1000):
            assert not matches("*a" * 60 + "*b", "a" * 128)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a",
        "a/",
        "/a",
        "a/b/c",
        "a b/c",
        "a/b\n",
        "a/b%",
        "ü/b",
        "a\0/b",
        "*",
        "?/b",
        "[a]/b",
        "a/" + "b" * 200,
    ],
)
def test_what_is_no_arn_is_told(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no ARN: namespace/environment"):
        parse_arn(text)


def test_stars_side_by_side_are_one() -> None:
    assert parse_arn("**/a***b") == Arn("*", "a*b")
    assert parse_arn("**/**") == EVERYTHING


def test_only_the_widest_patterns_are_kept() -> None:
    found = widest(map(parse_arn, ["team/ml-*", "team/*", "a/b", "a/*b", "team/x", "b*/c"]))
    assert [str(arn) for arn in found] == ["a/*b", "b*/c", "team/*"]


# -- roles -----------------------------------------------------------------------------------------------------------


def test_each_role_may_do_all_that_the_one_below_may() -> None:
    assert PERMISSIONS[Role.VIEWER] < PERMISSIONS[Role.DEVELOPER] < PERMISSIONS[Role.ADMIN] == frozenset(Action)
    assert parse_role("editor") is Role.DEVELOPER
    for word in ("Admin", "", "owner", "viewer "):
        with pytest.raises(InvalidInput, match="viewer, developer"):
            parse_role(word)


def test_conda_stores_permissions_are_in_the_roles() -> None:
    """As conda-store 2025.2.2 has them."""
    viewer = {"environment::read", "namespace::read", "namespace-role-mapping::read"}
    editor = viewer | {
        "build::cancel",
        "environment::create",
        "environment::update",
        "environment::solve",
        "setting::read",
    }
    admin = editor | {
        "build::delete",
        "environment::delete",
        "namespace::create",
        "namespace::delete",
        "namespace::update",
        "namespace-role-mapping::create",
        "namespace-role-mapping::update",
        "namespace-role-mapping::delete",
        "setting::update",
    }
    ours = {role: {action.value for action in PERMISSIONS[role]} for role in Role}
    everything = admin
    for role, theirs in ((Role.VIEWER, viewer), (Role.DEVELOPER, editor), (Role.ADMIN, admin)):
        assert ours[role] & everything == theirs


@pytest.mark.parametrize("roles", ["viewer", None, 1, [1], {"viewer": True}])
def test_roles_must_be_a_list(roles: object) -> None:
    with pytest.raises(InvalidInput, match="no list of words"):
        parse_bindings({"a/*": roles})


def test_bindings_are_bounded() -> None:
    with pytest.raises(InvalidInput, match="more than 500 roles"):
        parse_bindings({f"team/{number}": ["viewer"] for number in range(501)})
    many = holder({f"t{number:03}*/*e*": ["viewer"] for number in range(500)})
    visible(many)
    # what is visible is found once: to compare each with each takes a tenth of a second
    with within(2):
        for _ in range(1000):
            assert not may(many, Action.READ_BUILD, Resource("u", "x"))
            assert len(visible(many).arns) == 500


def test_bindings_are_written_as_they_were_bound() -> None:
    found = bindings_as_json(parse_bindings({"*/*": ["admin"], "team/ml-*": ["editor", "viewer"]}))
    assert found == {"*/*": ["admin"], "team/ml-*": ["developer", "viewer"]}


# -- may -------------------------------------------------------------------------------------------------------------


def test_a_role_on_a_part_of_a_namespace_is_no_role_on_the_namespace() -> None:
    part = holder({"team/ml-*": ["admin"]})
    assert may(part, Action.DELETE_ENVIRONMENT, Resource("team", "ml-1"))
    assert not may(part, Action.DELETE_ENVIRONMENT, Resource("team", "web"))
    for action in Action:
        known = action == Action.READ_NAMESPACE
        assert may(part, action, Resource("team")) is known, action
    assert not may(part, Action.READ_NAMESPACE, Resource("other"))


def test_what_is_of_the_installation_needs_everything() -> None:
    nearly = holder({"*/a*": ["admin"], "a*/*": ["admin"], "team/*": ["admin"]})
    for action in OF_THE_INSTALLATION:
        for place in (Resource(), Resource("team"), Resource("team", "a")):
            assert not may(nearly, action, place)
            assert may(ADMIN, action, place)
            assert may(SYSTEM, action, place)
    assert not may(nearly, Action.READ_AUDIT, Resource())
    assert may(nearly, Action.READ_AUDIT, Resource("team"))


def test_channels_are_read_by_whoever_has_any_role() -> None:
    assert may(holder({"team/x": ["viewer"]}), Action.READ_CHANNELS, Resource())
    assert not may(holder({"team/x": ["viewer"]}), Action.SOLVE_ENVIRONMENT, Resource())
    assert may(holder({"team/x": ["developer"]}), Action.SOLVE_ENVIRONMENT, Resource())
    assert not may(ANONYMOUS, Action.READ_CHANNELS, Resource())


@given(
    st.dictionaries(
        st.builds("{}/{}".format, PATTERNS.filter(bool), PATTERNS.filter(bool)),
        st.lists(st.sampled_from(["viewer", "editor", "admin"]), max_size=2),
        max_size=3,
    ),
    NAMES.filter(bool),
    NAMES.filter(bool),
)
def test_a_list_shows_what_may_be_read_and_nothing_else(
    bindings: dict[str, list[str]], namespace: str, environment: str
) -> None:
    asked = holder(bindings)
    shown = visible(asked)
    assert shown.shows(namespace, environment) is may(asked, Action.READ_ENVIRONMENT, Resource(namespace, environment))
    assert shown.shows(namespace) is may(asked, Action.READ_NAMESPACE, Resource(namespace))
    assert shown.whole_namespaces.shows(namespace) is may(asked, Action.READ_USAGE, Resource(namespace))


def test_lists_that_need_more_than_reading_show_less() -> None:
    asked = holder({"team/*": ["viewer"], "mine/*": ["admin"]})
    assert visible(asked, Action.READ_AUDIT) == Visible((Arn("mine", "*"),))
    assert not visible(ANONYMOUS).arns
    assert visible(ADMIN).everything


def test_two_views_show_what_both_show() -> None:
    both = visible(holder({"team/*": ["viewer"], "a/*": ["viewer"]})) & visible(holder({"*/ml": ["viewer"]}))
    assert both.shows("team", "ml")
    assert not both.shows("team", "web")
    assert not both.shows("b", "ml")
    assert not both.everything
    assert (visible(ADMIN) & both) == both
    assert (visible(ADMIN) & visible(ADMIN)).everything


# -- giving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "asked", "within"),
    [
        ({"*/*": ["admin"]}, {"a/b": ["admin"], "*/*": ["viewer"]}, True),
        ({"team/*": ["admin"]}, {"team/*": ["developer"]}, True),
        ({"team/*": ["admin"]}, {"team/ml-*": ["admin"]}, True),
        ({"team/*": ["admin"]}, {"*/*": ["admin"]}, False),
        ({"team/*": ["admin"]}, {"*/x": ["viewer"]}, False),
        ({"team/*": ["developer"]}, {"team/*": ["admin"]}, False),
        ({"team/ml-*": ["admin"]}, {"team/*": ["viewer"]}, False),
        ({"team*/*": ["viewer"]}, {"team-a/*": ["viewer"], "teams/x": ["viewer"]}, True),
        ({"team-*/*": ["viewer"]}, {"team*/*": ["viewer"]}, False),
        ({}, {}, True),
        ({}, {"a/b": ["viewer"]}, False),
    ],
)
def test_nobody_gives_more_than_they_have(
    mine: dict[str, list[str]], asked: dict[str, list[str]], within: bool
) -> None:
    assert covers(parse_bindings(mine), parse_bindings(asked)) is within


def test_what_is_too_much_is_named() -> None:
    found = missing(parse_bindings({"a/*": ["admin"]}), parse_bindings({"a/b": ["viewer"], "b/*": ["viewer"]}))
    assert found == [Binding(Arn("b", "*"), Role.VIEWER)]


# -- defaults --------------------------------------------------------------------------------------------------------


def standing(primary: str, defaults: Defaults | None = None, **more: bool) -> dict[str, list[str]]:
    asked = Principal("p", is_authenticated=True, primary_namespace=primary, **more)  # type: ignore[arg-type]
    return bindings_as_json((defaults or Defaults("t")).standing(asked).bindings)


def test_by_default_everybody_reads_the_default_namespace_and_has_their_own() -> None:
    assert bindings_as_json(Defaults("t", "open").anybody.bindings) == {"open/*": ["viewer"]}
    assert standing("bob") == {"bob/*": ["admin"], "default/*": ["viewer"]}


@pytest.mark.parametrize("primary", ["", "default", "*", "a*", "../x", "dynamic", "v2", "a/b", "a b"])
def test_a_namespace_that_is_not_ones_own_gives_nothing(primary: str) -> None:
    assert standing(primary) == {"default/*": ["viewer"]}


def test_who_does_not_inherit_has_no_more_than_everybody() -> None:
    assert standing("bob", inherits=False) == {"default/*": ["viewer"]}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"anonymous": {"default": ["viewer"]}}, "CONDARIUM_ANONYMOUS_BINDINGS: 'default' is no ARN"),
        ({"anonymous": {"{default}/*": ["reader"]}}, "CONDARIUM_ANONYMOUS_BINDINGS: 'reader' is no role"),
        ({"authenticated": {"{primary}": ["admin"]}}, "CONDARIUM_AUTHENTICATED_BINDINGS: 'somebody' is no ARN"),
        ({"service_tokens": {"long enough": "robot"}}, "CONDARIUM_SERVICE_TOKENS: each token needs an object"),
        ({"service_tokens": {"long enough": {}}}, "CONDARIUM_SERVICE_TOKENS: each token needs an object with a name"),
        ({"service_tokens": {"long enough": {"name": "r", "role": []}}}, "its keys are name, primary_namespace"),
        ({"service_tokens": {"long enough": {"name": "r", "role_bindings": []}}}, "role_bindings an object"),
        ({"service_tokens": {"long enough": {"name": "r", "primary_namespace": "a b"}}}, "cannot name the namespace"),
        ({"service_tokens": {"long enough": {"name": "r", "role_bindings": {"x": ["viewer"]}}}}, "'x' is no ARN"),
        ({"service_tokens": {"short": {"name": "r"}}}, "8 characters or more"),
    ],
)
def test_a_wrong_setting_is_named_and_no_token_shown(more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        Defaults("t", **more)  # type: ignore[arg-type]
    assert "long enough" not in str(caught.value)


def test_service_tokens_are_recognised_and_kept_out_of_sight() -> None:
    defaults = Defaults("the admin", service_tokens={"robot-token": {"name": "r", "role_bindings": {"a/*": ["admin"]}}})
    found = defaults.recognise("robot-token")
    assert found is not None
    assert (found.name, bindings_as_json(found.bindings)) == ("service:r", {"a/*": ["admin"]})
    assert defaults.recognise("the admin") == access.ADMIN
    for wrong in ("", "the admi", "robot-token ", "\udcff", "é"):
        assert defaults.recognise(wrong) is None
    assert "robot-token" not in repr(defaults)
    assert "the admin" not in repr(defaults)

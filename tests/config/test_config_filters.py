"""The filters of a pump as they stand in the file."""

import pytest

from pumpkit.config import Filters


@pytest.fixture
def filters_of(config_of):
    """Return a function that loads the filters of a pump."""
    return lambda text: config_of(f"pumps: {{a: {{filters: {text}}}}}").pumps["a"].filters


@pytest.mark.parametrize(
    ("text", "include", "exclude"),
    [
        ("{}", {}, {}),
        ("{include: {a: [x, 1, 1.5, true, null]}}", {"a": ["x", 1, 1.5, True, None]}, {}),
        ("{exclude: {a: [x], b-c: [y]}}", {}, {"a": ["x"], "b-c": ["y"]}),
        ("{include: {a: x}, exclude: {a: 5, b: false}}", {"a": ["x"]}, {"a": [5], "b": [False]}),
        ("{exclude: {a: []}}", {}, {"a": []}),
        ("{usernames: [colin]}", {"username": ["colin"]}, {}),
        ("{usernames: colin}", {"username": ["colin"]}, {}),
        ("{skip_usernames: [colin]}", {}, {"username": ["colin"]}),
        ("{skip-usernames: [colin]}", {}, {"username": ["colin"]}),
        (
            "{api_ids: [a], org-ids: [o], response_codes: [200]}",
            {"api_id": ["a"], "org_id": ["o"], "response_code": [200]},
            {},
        ),
        (
            "{skip_api_ids: [a], skip-org-ids: [o], skip_response_codes: [200, 204]}",
            {},
            {"api_id": ["a"], "org_id": ["o"], "response_code": [200, 204]},
        ),
        ("{usernames: [a], skip_usernames: [b]}", {"username": ["a"]}, {"username": ["b"]}),
        ("{usernames: [], skip_usernames: []}", {}, {}),
        ("{include: {effect: deny}, usernames: [a]}", {"effect": ["deny"], "username": ["a"]}, {}),
    ],
)
def test_filters(filters_of, text, include, exclude):
    """A single value stands for a list of one; the originals' lists become include and exclude, empty ones nothing."""
    found = filters_of(text)
    assert found == Filters(include=include, exclude=exclude)
    assert repr(found.include) == repr(include)  # true is not 1


def test_filter_values_are_filled_in(filters_of, monkeypatch):
    """From the environment, as any text."""
    monkeypatch.setenv("WHO", "colin")
    assert filters_of("{exclude: {username: ['${WHO}']}}").exclude == {"username": ["colin"]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{usernams: [a]}", "usernams: unknown filter; did you mean usernames?"),
        ("{skip-usernams: [a]}", "skip-usernams: unknown filter; did you mean skip_usernames?"),
        ("{inclde: {}}", "inclde: unknown filter; did you mean include?"),
        ("{effect: [deny]}", "effect: unknown filter; filter by a field with include: {effect: [...]}"),
        ("{skip_include: {}}", "skip_include: unknown filter; did you mean include?"),
        ("{include: {a: []}}", "include.a: has no values, so no record would pass; remove it"),
        ("{include: {a: null}}", "include.a: must be a list, not null"),
        ("{include: {a: {b: c}}}", "include.a: must be a list, not a mapping"),
        ("{include: {a: [[b]]}}", "include.a.0: must be text, a number, true, false or null, not a list"),
        ("{include: [a]}", "include: must be a mapping (lines of `key: value`), not a list"),
        ("{usernames: {a: b}}", "usernames: must be a list, not a mapping"),
        (
            "{include: {username: [a]}, usernames: [b]}",
            "usernames: says again what stands at include.username; keep one of them",
        ),
        (
            "{skip_usernames: [a], skip-usernames: [b]}",
            "skip-usernames: says again what stands at exclude.username; keep one of them",
        ),
    ],
)
def test_bad_filters(problems_of, text, problem):
    """Each says what is wrong, at its own key."""
    assert problems_of(f"pumps: {{a: {{filters: {text}}}}}") == [f"pumpkit.yaml:1: pumps.a.filters.{problem}"]


def test_filters_are_a_mapping(problems_of):
    """A list is no filters."""
    assert problems_of("pumps: {a: {filters: [usernames]}}") == [
        "pumpkit.yaml:1: pumps.a.filters: must be a mapping (lines of `key: value`), not a list"
    ]

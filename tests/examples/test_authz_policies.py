"""The example's policies decide as ladon's do."""

from typing import Any

import pytest

from tests.examples.conftest import EXAMPLE


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of policies."""
    monkeypatch.syspath_prepend(EXAMPLE)
    from authz_service import policies

    return policies


def ask(service: Any, **changes: Any) -> tuple[bool, list[str]]:
    """Return what the sample's policies say of a request, and by whom it was decided."""
    request = {
        "subject": "users:peter",
        "action": "get",
        "resource": "resources:articles:7",
        "context": {"username": "colin"},
        **changes,
    }
    verdict = service.load(EXAMPLE / "policies.yaml")["colin"].decide(request)
    return verdict.allowed, [policy.id for policy in verdict.deciders]


@pytest.mark.parametrize(
    ("changes", "allowed", "deciders"),
    [
        ({}, True, ["editors"]),
        ({"subject": "groups:editors", "action": "update"}, True, ["editors"]),
        ({"subject": "users:peters"}, False, []),
        ({"resource": "resources:articles:7a"}, False, []),
        ({"action": "delete"}, True, ["editors"]),
        ({"action": "delete", "context": {"shelf": "archive"}}, False, ["editors", "archive"]),
        ({"action": "delete", "resource": "resources:articles:x", "context": {"shelf": "archive"}}, False, ["archive"]),
        (
            {"action": "print", "resource": "resources:printer", "context": {"remoteIP": "192.168.9.1"}},
            True,
            ["printer"],
        ),
        ({"action": "print", "resource": "resources:printer", "context": {"remoteIP": "10.0.0.1"}}, False, []),
        ({"action": "print", "resource": "resources:printer", "context": {"remoteIP": "here"}}, False, []),
        ({"action": "print", "resource": "resources:printer", "context": {"remoteIP": 7}}, False, []),
        ({"action": "print", "resource": "resources:printer"}, False, []),
    ],
)
def test_the_sample_decides(service: Any, changes: dict[str, Any], allowed: bool, deciders: list[str]) -> None:
    """Whatever applies has a say in the order of the file, one that denies ends it, and nobody means no."""
    assert ask(service, **changes) == (allowed, deciders)


@pytest.mark.parametrize(
    ("kind", "options", "fits", "fails"),
    [
        ("StringEqualCondition", {"equals": "a"}, "a", "aa"),
        ("StringMatchCondition", {"matches": "a+"}, "baab", "b"),
        ("CIDRCondition", {"cidr": "10.0.0.1/8"}, "10.9.9.9", "11.0.0.1"),
        ("CIDRCondition", {"cidr": "fd00::/8"}, "fd00::1", "10.0.0.1"),
        ("EqualsSubjectCondition", {}, "users:peter", "users:ken"),
    ],
)
def test_a_condition(service: Any, kind: str, options: dict[str, str], fits: str, fails: str) -> None:
    """A condition is fulfilled by text that fits, and by nothing else."""
    fulfilled = service.Condition(type=kind, options=options).compiled()
    request = {"subject": "users:peter"}
    assert fulfilled(fits, request)
    assert not any(fulfilled(value, request) for value in (fails, "", None, 7, [fits], {fits: fits}))


@pytest.mark.parametrize(
    ("template", "fits", "fails"),
    [
        ("a.b", ["a.b"], ["axb", "a.b.c"]),
        ("a:<x|y>:b", ["a:x:b", "a:y:b"], ["a:x", "y:b"]),
        ("<[0-9]{2}><.*>", ["12", "12a"], ["1"]),
        ("<(?P<name>a)b>", ["ab"], ["b"]),
        ("", [""], ["a"]),
    ],
)
def test_a_template(service: Any, template: str, fits: list[str], fails: list[str]) -> None:
    """What is in angle brackets is a regular expression, the rest is itself, and the whole text must match."""
    pattern = service.pattern(template)
    assert all(pattern.fullmatch(text) for text in fits)
    assert not any(pattern.fullmatch(text) for text in fails)


@pytest.mark.parametrize("template", ["<a", "a>", "<a>>", "<[>", "><"])
def test_a_template_that_is_none(service: Any, template: str) -> None:
    """Unbalanced brackets and broken expressions are refused when policies are read, not when somebody asks."""
    with pytest.raises(ValueError, match=r"unbalanced|no regular expression"):
        service.pattern(template)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("StringEqualCondition", {}),
        ("StringEqualCondition", {"equals": "a", "matches": "a"}),
        ("StringMatchCondition", {"matches": "("}),
        ("CIDRCondition", {"cidr": "10.0.0.0/33"}),
        ("EqualsSubjectCondition", {"equals": "a"}),
    ],
)
def test_a_condition_with_wrong_options(service: Any, kind: str, options: dict[str, str]) -> None:
    """Options that a kind does not have, or cannot use, are refused."""
    with pytest.raises(ValueError, match=r"options|network|regular"):
        service.Condition(type=kind, options=options).compiled()

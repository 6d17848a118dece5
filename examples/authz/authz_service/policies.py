"""Policies, and what they decide: the rules and the file format of ladon, which the original's server decides with.

A policy applies to a request if its actions, subjects and resources match and all its conditions are fulfilled. What is
in angle brackets is a regular expression; the rest is itself: `resources:articles:<[0-9]+>`. A request is granted if at
least one policy that applies allows, and none denies.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
from pumpkit import key
from pumpkit.contrib.authz import Verdict

from authz_service.files import read

Request = Mapping[str, Any]

#: Whether a value of a request's context fulfils a condition.
Fulfilled = Callable[[Any, Request], bool]


def pattern(template: str) -> re.Pattern[str]:
    """Return a template as a regular expression. Raises ValueError if it is none."""
    parts = re.split(r"<((?:[^<>]|<[^<>]*>)*)>", template)
    if any("<" in text or ">" in text for text in parts[::2]):
        raise ValueError(f"{template!r} has unbalanced angle brackets")
    try:
        return re.compile("".join(f"(?:{part})" if index % 2 else re.escape(part) for index, part in enumerate(parts)))
    except re.error as error:
        raise ValueError(f"{template!r} is no regular expression: {error}") from None


def _templates(_: Any, __: Any, values: list[str]) -> None:
    for value in values:
        pattern(value)


@attrs.frozen
class Condition:
    """A condition on one value of the request's context, by the names that ladon has for it."""

    type: Literal["CIDRCondition", "StringEqualCondition", "StringMatchCondition", "EqualsSubjectCondition"] = key(
        about="The kind of condition."
    )
    options: dict[str, str] = key(factory=dict, about="`cidr`, `equals` or `matches`, as the kind wants it.")

    def compiled(self) -> Fulfilled:
        """Return what judges a value. Raises ValueError for options that are wrong."""
        wanted = {"CIDRCondition": "cidr", "StringEqualCondition": "equals", "StringMatchCondition": "matches"}
        option = wanted.get(self.type)
        if set(self.options) != ({option} if option else set()):
            raise ValueError(f"options of {self.type} must be {option or 'empty'}")
        match self.type:
            case "CIDRCondition":
                network = ipaddress.ip_network(self.options["cidr"], strict=False)
                return lambda value, request: _is_address(value, network)
            case "StringEqualCondition":
                equals = self.options["equals"]
                return lambda value, request: isinstance(value, str) and value == equals
            case "StringMatchCondition":
                try:
                    matches = re.compile(self.options["matches"])
                except re.error as error:
                    raise ValueError(f"options.matches is no regular expression: {error}") from None
                return lambda value, request: isinstance(value, str) and bool(matches.search(value))
            case "EqualsSubjectCondition":
                return lambda value, request: isinstance(value, str) and value == request["subject"]


def _is_address(value: object, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return isinstance(value, str) and ipaddress.ip_address(value) in network
    except ValueError:
        return False


def _conditions(_: Any, __: Any, values: dict[str, Condition]) -> None:
    for name, condition in values.items():
        try:
            condition.compiled()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


@attrs.frozen
class Policy:
    """One policy, as the file has it."""

    id: str = key(about="What records call it.")
    description: str = key("", about="For people.")
    subjects: list[str] = key(validator=_templates, about="Who.")
    effect: Literal["allow", "deny"] = key(about="What the policy does to requests that it applies to.")
    resources: list[str] = key(validator=_templates, about="To what.")
    actions: list[str] = key(validator=_templates, about="Doing what.")
    conditions: dict[str, Condition] = key(
        factory=dict, validator=_conditions, about="Under which conditions, by the key of the context."
    )


class Rule:
    """A policy that is ready to judge requests."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.allows = policy.effect == "allow"
        self._patterns = {
            name: [pattern(template) for template in getattr(policy, f"{name}s")]
            for name in ("action", "subject", "resource")  # what fails soonest comes first
        }
        self._conditions = {name: condition.compiled() for name, condition in policy.conditions.items()}

    def applies(self, request: Request) -> bool:
        """Whether this policy has a say in a request."""
        return all(
            any(pattern.fullmatch(request[name]) for pattern in patterns) for name, patterns in self._patterns.items()
        ) and all(fulfilled(request["context"].get(name), request) for name, fulfilled in self._conditions.items())


class RuleSet:
    """The policies of one user."""

    def __init__(self, policies: list[Policy]) -> None:
        self.rules = [Rule(policy) for policy in policies]
        #: All of them as JSON, made once, because every record has it.
        self.text = json.dumps([attrs.asdict(policy) for policy in policies], separators=(",", ":"))

    def decide(self, request: Request) -> Verdict:
        """Return what the policies say of a request; the first that denies ends it."""
        deciders: list[Policy] = []
        for rule in self.rules:
            if rule.applies(request):
                deciders.append(rule.policy)
                if not rule.allows:
                    return Verdict(False, deciders, self.text)
        return Verdict(bool(deciders), deciders, self.text)


#: Of a user who has no policies: nothing is allowed.
NO_POLICIES = RuleSet([])


@attrs.frozen
class PolicyFile:
    """The whole of policies.yaml."""

    users: dict[str, list[Policy]] = key(about="The policies of each user.")


def load(file: Path) -> dict[str, RuleSet]:
    """Return the policies in a file, by user. Raises pumpkit.ConfigError with everything that is wrong."""
    return {user: RuleSet(policies) for user, policies in read(file).into(PolicyFile).users.items()}

"""Records for the demonstration: a tiny authorization server that decides, and tells what it decided and why."""

import itertools
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from pumpkit.records import ALLOW, DENY, AnalyticsRecord


class Policy(NamedTuple):
    """Who may, or must not, do what with what; `*` at the end of a name stands for anything."""

    id: str
    effect: str
    subjects: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def covers(self, subject: str, action: str, resource: str) -> bool:
        """Return whether this policy has something to say about a request."""
        return (
            any(_matches(pattern, subject) for pattern in self.subjects)
            and any(_matches(pattern, action) for pattern in self.actions)
            and any(_matches(pattern, resource) for pattern in self.resources)
        )


class Decision(NamedTuple):
    """What the server answers, and the policies that spoke."""

    effect: str
    conclusion: str
    policies: str
    deciders: str


POLICIES = (
    Policy("read-articles", ALLOW, ("users:*",), ("get", "list"), ("resources:articles:*",)),
    Policy("write-own-team", ALLOW, ("users:colin", "users:maria"), ("create", "update"), ("resources:articles:*",)),
    Policy("admin-everything", ALLOW, ("users:admin",), ("*",), ("resources:*",)),
    Policy("billing-readers", ALLOW, ("users:maria", "users:tom"), ("get", "list"), ("resources:invoices:*",)),
    Policy("no-deletes-by-robots", DENY, ("users:deploy-bot",), ("delete", "update"), ("resources:*",)),
    Policy("drafts-are-private", DENY, ("users:guest", "users:deploy-bot"), ("*",), ("resources:articles:draft-*",)),
)

#: Who asks, and how often beside the others.
SUBJECTS = {"colin": 30, "maria": 22, "tom": 14, "admin": 6, "deploy-bot": 18, "guest": 10}
ACTIONS = {"get": 50, "list": 25, "create": 8, "update": 10, "delete": 7}
RESOURCES = (
    "resources:articles:go-in-production",
    "resources:articles:draft-pricing",
    "resources:articles:release-notes",
    "resources:invoices:2024-11",
    "resources:invoices:2024-12",
    "resources:secrets:signing-key",
)


def decisions(seed: int = 1) -> Iterator[AnalyticsRecord]:
    """Yield records without end: the same decisions for the same seed, stamped with the time of now."""
    chance = random.Random(seed)
    for number in itertools.count():
        user = chance.choices(list(SUBJECTS), list(SUBJECTS.values()))[0]
        action = chance.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        resource = chance.choice(RESOURCES)
        decision = decide(f"users:{user}", action, resource)
        request = {
            "resource": resource,
            "action": action,
            "subject": f"users:{user}",
            "context": {"remoteIP": f"10.0.{chance.randrange(4)}.{chance.randrange(1, 255)}", "requestID": number},
        }
        yield AnalyticsRecord(
            username=user,
            effect=decision.effect,
            conclusion=decision.conclusion,
            request=json.dumps(request),
            policies=decision.policies,
            deciders=decision.deciders,
        )


@cache
def decide(subject: str, action: str, resource: str) -> Decision:
    """Decide as authorization servers do: one policy that denies is stronger than any that allow; silence denies."""
    candidates = [policy for policy in POLICIES if any(_matches(pattern, subject) for pattern in policy.subjects)]
    speaking = [policy for policy in candidates if policy.covers(subject, action, resource)]
    against = [policy for policy in speaking if policy.effect == DENY]
    allowing = ", ".join(policy.id for policy in speaking if policy.effect == ALLOW)
    if against:
        effect, deciders = DENY, against[:1]
        conclusion = f"policy {against[0].id} forcefully denied the access"
    elif allowing:
        effect, deciders = ALLOW, speaking
        conclusion = f"policies {allowing} allow access"
    else:
        effect, deciders = DENY, []
        conclusion = "no policy allowed access"
    return Decision(effect, conclusion, _text(candidates), _text(deciders))


def _text(policies: list[Policy]) -> str:
    return json.dumps([policy._asdict() for policy in policies])


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern

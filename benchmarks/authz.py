"""A tiny authorization server, the application of these benchmarks: what it decides, and its record of that.

A record has the 8 fields of `pumpkit.AnalyticsRecord` and packs to about 620 bytes. Ids and addresses differ from
record to record, so that records compress as they do in life: to about 70 bytes.
"""

import datetime
import json
import random
import re
import time
from typing import Any, NamedTuple

FIELDS = ("timestamp", "username", "effect", "conclusion", "request", "policies", "deciders", "expire_at")

_KINDS = (
    *("articles", "invoices", "secrets", "reports", "builds", "images", "orders", "tickets", "users", "teams"),
    *("buckets", "queues", "topics", "tables", "charts", "alerts", "plans", "quotas", "tokens", "keys"),
)
_VERBS = {"read": "get|list", "create": "create", "update": "update|patch", "delete": "delete", "admin": "grant|revoke"}


class Policy(NamedTuple):
    """Who may do what with what, as regular expressions that match whole names."""

    id: str
    subjects: re.Pattern[str]
    actions: re.Pattern[str]
    resources: re.Pattern[str]


POLICIES = [
    Policy(
        f"{kind}-{verb}",
        re.compile(f"users:(u[0-9]*[1-9]|{kind}-team)"),
        re.compile(actions),
        re.compile(f"resources:{kind}:[a-z0-9-]+"),
    )
    for kind in _KINDS
    for verb, actions in _VERBS.items()
]


def requests(count: int, seed: int = 1) -> list[bytes]:
    """Return requests as they come over the wire, different ones, the same for the same seed."""
    chance = random.Random(seed)
    return [
        json.dumps(
            {
                "subject": f"users:u{chance.randrange(10_000):05}",
                "action": chance.choice(("get", "list", "create", "update", "delete")),
                "resource": f"resources:{chance.choice(_KINDS)}:item-{chance.randrange(10_000):05}",
                "context": {
                    "remoteIP": f"10.{chance.randrange(10, 99)}.{chance.randrange(10, 99)}.{chance.randrange(10, 99)}",
                    "traceparent": f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01",
                    "userAgent": "authz-client/1.4.2 (linux; amd64; go1.22)",
                },
            }
        ).encode()
        for _ in range(count)
    ]


def decide(request: bytes) -> tuple[bytes, dict[str, Any]]:
    """Answer a request: what goes over the wire, and the record of it."""
    asked = json.loads(request)
    subject, action, resource = asked["subject"], asked["action"], asked["resource"]
    concerned = [policy for policy in POLICIES if policy.subjects.fullmatch(subject)]
    speaking = [
        policy for policy in concerned if policy.actions.fullmatch(action) and policy.resources.fullmatch(resource)
    ]
    effect = "allow" if speaking else "deny"
    reason = f"policy {speaking[0].id} allows access" if speaking else "no policy allows access"
    answer = json.dumps({"allowed": bool(speaking), "reason": reason}).encode()
    deciders = [
        {"id": policy.id, "effect": effect, "actions": policy.actions.pattern, "resources": policy.resources.pattern}
        for policy in speaking
    ]
    now = int(time.time())
    record = {
        "timestamp": now,
        "username": subject.removeprefix("users:"),
        "effect": effect,
        "conclusion": reason,
        "request": request.decode(),
        "policies": ", ".join(policy.id for policy in concerned[:8]),
        "deciders": json.dumps(deciders),
        "expire_at": datetime.datetime.fromtimestamp(now + 86_400, datetime.UTC),
    }
    return answer, record


def records(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return records of different requests."""
    return [decide(request)[1] for request in requests(count, seed)]

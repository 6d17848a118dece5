"""The ready-made analytics record: one authorization decision, with the fields of the Go original.

Source: iam-authz-server's `AnalyticsRecord` (its Go names are TimeStamp, Username, Effect, Conclusion, Request,
Policies, Deciders, ExpireAt). Any mapping, attrs class or dataclass is as good a record.
"""

import datetime
import time

import attrs

#: The fields that `omit-detailed-recording` blanks unless `detail-fields` says otherwise (as in the original).
DETAIL_FIELDS = ("policies", "deciders")

ALLOW = "allow"
DENY = "deny"


def _now() -> int:
    return int(time.time())


@attrs.define
class AnalyticsRecord:
    """One authorization decision.

    `timestamp` is in Unix seconds; `effect` is `allow` or `deny`; `request`, `policies` and `deciders` are JSON text;
    `expire_at` is when a sink may forget the record, None for never.
    """

    timestamp: int = attrs.field(factory=_now)
    username: str = ""
    effect: str = ""
    conclusion: str = ""
    request: str = ""
    policies: str = ""
    deciders: str = ""
    expire_at: datetime.datetime | None = None

    def expire_after(self, seconds: float) -> None:
        """Let the record expire this many seconds from now."""
        self.expire_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)

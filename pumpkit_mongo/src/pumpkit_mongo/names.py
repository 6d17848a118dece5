"""Names of collections made of a record: `audit-{username}`, `audit-{timestamp:%Y-%m}`.

`{field}` is the value of a field at the top of the record, `{field:%Y-%m}` a date of its time, in UTC. The time is the
record's own, never the clock's: a record that comes again must have the collection that it had before.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from pumpkit_mongo.times import moment

_PLACE = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")

#: The directives of a date that are digits, whatever the locale.
_DATE = re.compile(r"(%[YmdHMjGV]|[A-Za-z0-9._-])+")

#: What a name consists of; MongoDB allows more, and refuses `$`, NUL, and `system.` at the beginning. The driver
#: refuses dots in a row, or at the end.
_NAME = re.compile(r"(?!system\.)[A-Za-z0-9_]([A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-]))*")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_DOTS = re.compile(r"\.{2,}|\.$")

#: The longest name, in bytes. The server takes 255 together with that of the database, which may have 63.
LONGEST = 180

#: Seconds for which a name counts.
DAY = 86_400.0


class CollectionNames:
    """What one template says of names, and the names that it has made: `limit` of them in a day at most.

    Raises ValueError for a template that is none.
    """

    def __init__(self, template: str, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self.template = template
        self._limit = limit
        self._now = now
        self._made: dict[str, float] = {}  # names, and since when
        plain = _PLACE.split(template)[::3]
        if any(_UNSAFE.search(text) for text in plain) or not re.match(r"[A-Za-z0-9_{]", template):
            raise ValueError(
                f"{template!r:.80} must begin with a letter or digit, and consist of letters, digits and . _ - beside"
                " {field} and {field:%Y-%m-%d}"
            )
        for place in _PLACE.finditer(template):
            if place[2] is not None and not _DATE.fullmatch(place[2]):
                raise ValueError(f"{place[2]!r:.80} must be a date of %Y %m %d %H %M %j %G %V, as in {{time:%Y-%m-%d}}")
        if self.fixed and (not _NAME.fullmatch(template) or len(template) > LONGEST):
            raise ValueError(f"{template!r:.80} is no name of a collection")

    @property
    def fixed(self) -> str:
        """The one name, if the template takes nothing of a record; else empty."""
        return "" if "{" in self.template else self.template

    def name(self, record: Mapping[str, Any]) -> str:
        """Return the collection of a record. Raises ValueError saying why it has none."""
        wanted = _PLACE.sub(lambda place: _value(record, place[1], place[2]), self.template)
        name = _DOTS.sub("_", wanted)
        return name if name in self._made else self._admit(name)

    def _admit(self, name: str) -> str:
        if not _NAME.fullmatch(name) or len(name) > LONGEST:
            raise ValueError(f"{name!r:.80} is no name of a collection")
        now = self._now()
        if len(self._made) >= self._limit:
            self._made = {old: since for old, since in self._made.items() if now - since < DAY}
        if len(self._made) >= self._limit:
            raise ValueError(
                f"collection {name!r:.80} would be one more than {self._limit} in a day: see `max-collections`"
            )
        self._made[name] = now
        return name


def _value(record: Mapping[str, Any], field: str, date: str | None) -> str:
    value = record.get(field)
    if value is None or value == "":
        raise ValueError(f"field {field!r:.80} is missing, and the name of the collection needs it")
    if date is not None:
        try:
            return moment(value).strftime(date)
        except ValueError as error:
            raise ValueError(f"field {field!r:.80} is no time: {error}") from None
    if isinstance(value, str | int):
        return _UNSAFE.sub("_", str(value))
    raise ValueError(f"field {field!r:.80}: a value of type {type(value).__name__} is no part of a name")

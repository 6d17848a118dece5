"""Names of indices made of a record: `audit-{username}-{timestamp:%Y.%m.%d}`.

`{field}` is the value of a field at the top of the record, `{field:%Y.%m.%d}` a date of its time, in UTC. The time is
the record's own, never the clock's: a record that comes again must have the index that it had before.
"""

import datetime
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from pumpkit_es.times import NO_TIME, moment

_PLACE = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")

#: The directives of a date that are digits, whatever the locale.
_FORMAT = re.compile(r"(%[YmdHMjGV]|[a-z0-9._-])+")

#: What a name may consist of; Elasticsearch allows some more. It must not begin with `_`, `-` or `+`, either.
_NAME = re.compile(r"[a-z0-9.][a-z0-9._-]*|")
_UNSAFE = re.compile(r"[^a-z0-9._-]")

#: The longest name of an index, in bytes.
LONGEST = 255

#: How many minutes are remembered.
_DATES = 10_000

#: Seconds for which a name counts.
DAY = 86_400.0


class IndexNames:
    """What is said of names by one template, and the names that it has made.

    Raises ValueError for a template that is none. `limit` is how many names a day may bring.
    """

    def __init__(self, template: str, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self.template = template
        #: The one name, if the template takes nothing of a record; else empty.
        self.fixed = "" if "{" in template else template
        self._limit = limit
        self._now = now
        self._safe: dict[str, str] = {}  # names as they are asked for, and as they are
        self._dates: dict[tuple[str, type, Any], str] = {}  # formats, types and minutes, and how they read
        self._admitted: dict[str, float] = {}  # names, and since when
        self._parts: list[str | tuple[str, str | None]] = []
        at = 0
        for place in _PLACE.finditer(template):
            self._parts += [template[at : place.start()], (place[1], place[2])]
            at = place.end()
        self._parts = [part for part in (*self._parts, template[at:]) if part]
        self._check()

    @property
    def pattern(self) -> str:
        """The pattern with `*` that all its names match."""
        return re.sub(r"\*+", "*", "".join(part if isinstance(part, str) else "*" for part in self._parts))

    def _check(self) -> None:
        plain = [part for part in self._parts if isinstance(part, str)]
        for text in plain:
            if _UNSAFE.search(text):
                raise ValueError(
                    f"{text!r} must be lower-case letters, digits and . _ - beside {{field}} and {{field:%Y.%m.%d}}"
                )
        if not self._parts or (plain and plain[0] == self._parts[0] and not _NAME.fullmatch(plain[0])):
            raise ValueError(f"{self.template!r} must begin with a lower-case letter or a digit")
        if len("".join(plain)) > LONGEST or self.template in (".", ".."):
            raise ValueError(f"{self.template!r:.80} is no name of an index")
        for part in self._parts:
            if isinstance(part, tuple) and part[1] is not None and not _FORMAT.fullmatch(part[1]):
                raise ValueError(f"{part[1]!r} must be a date of %Y %m %d %H %M %j %G %V, as in {{timestamp:%Y.%m.%d}}")

    def name(self, record: Mapping[str, Any]) -> str:
        """Return the index of a record. Raises ValueError saying why it has none."""
        wanted = "".join([part if isinstance(part, str) else self._text(record, *part) for part in self._parts])
        return self._safe.get(wanted) or self._admit(wanted)

    def _text(self, record: Mapping[str, Any], field: str, date: str | None) -> str:
        value = record.get(field)
        if value is None or value == "":
            raise ValueError(f"field {field!r:.80} is missing, and the name of the index needs it")
        if date is not None:
            return self._date(field, date, value)
        if isinstance(value, str | int):
            return str(value)
        raise ValueError(
            f"field {field!r:.80}: a value of type {type(value).__name__} cannot be part of an index's name"
        )

    def _date(self, field: str, date: str, value: Any) -> str:
        """Return a date. Those of a minute are alike, and most records of a batch come from few of them."""
        minute: Any = value
        if type(value) is int:
            minute = value // 60
        elif type(value) is datetime.datetime:
            minute = value.replace(second=0, microsecond=0)
        try:
            text = self._dates.get((date, type(value), minute))
            if text is None:
                if len(self._dates) >= _DATES:
                    self._dates.clear()
                text = self._dates[date, type(value), minute] = moment(value).strftime(date)
        except (TypeError, ValueError):  # a list cannot be looked up
            raise ValueError(f"field {field!r:.80} is no time: {NO_TIME}") from None
        return text

    def _admit(self, wanted: str) -> str:
        name = _UNSAFE.sub("_", wanted.lower()).lstrip("_-")
        if not name or name in (".", "..") or len(name) > LONGEST:
            raise ValueError(f"{wanted!r:.80} is no name of an index")
        now = self._now()
        if name not in self._admitted and len(self._admitted) >= self._limit:
            self._admitted = {old: when for old, when in self._admitted.items() if now - when < DAY}
            self._safe.clear()  # what was let go counts anew when it is asked for again
            if len(self._admitted) >= self._limit:
                raise ValueError(f"index {name!r:.80} would be one more than {self._limit} in a day: see `max-indexes`")
        if len(self._safe) >= 4 * self._limit:  # spellings of one name are without number
            self._safe.clear()
        self._admitted.setdefault(name, now)
        self._safe[wanted] = name
        return name

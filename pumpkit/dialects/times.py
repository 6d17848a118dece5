"""Go's `time.Time` and our datetimes.

Our datetimes are aware, UTC, and go down to microseconds: nanoseconds are cut off. Go's zero time (year 1) means "no
time" and is None. A time outside the years 1 to 9999 is ISO text with a sign, such as `+10001-01-01T00:00:00Z`, which
keeps it whole but for the nanoseconds; in that form it goes back to Go as well.
"""

import datetime
import re
from typing import Any

import msgpack

#: Unix seconds of Go's zero time, 0001-01-01T00:00:00Z.
ZERO_SECONDS = -62_135_596_800

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_ZERO = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)

#: The calendar repeats itself after 400 years.
_CYCLE_YEARS, _CYCLE_SECONDS = 400, 146_097 * 86_400

_FAR = re.compile(r"([+-]\d{4,12})-(\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?)Z")


def from_unix(seconds: int, nanoseconds: int) -> datetime.datetime | str | None:
    """Return the time that Go writes as seconds and nanoseconds since 1970."""
    if seconds == ZERO_SECONDS and nanoseconds == 0:
        return None
    try:
        return _EPOCH + datetime.timedelta(0, seconds, nanoseconds // 1_000)
    except OverflowError:
        return _far(seconds + nanoseconds // 1_000_000_000, nanoseconds % 1_000_000_000)


def _far(seconds: int, nanoseconds: int) -> str:
    cycles, rest = divmod(seconds, _CYCLE_SECONDS)
    near = _EPOCH + datetime.timedelta(0, rest, nanoseconds // 1_000)
    return f"{near.year + cycles * _CYCLE_YEARS:+05d}{near.replace(tzinfo=None).isoformat()[4:]}Z"


def to_unix(value: datetime.datetime | str | None) -> tuple[int, int]:
    """Return a time as Unix seconds and nanoseconds; a naive one is taken as UTC. Raises ValueError for other text."""
    if value is None:
        return ZERO_SECONDS, 0
    cycles = 0
    if isinstance(value, str):
        far = _FAR.fullmatch(value)
        if far:
            cycles, year = divmod(int(far[1]) - 2000, _CYCLE_YEARS)
            value = f"{2000 + year}-{far[2]}Z"
        value = datetime.datetime.fromisoformat(value)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    since = value - _EPOCH
    return since.days * 86_400 + since.seconds + cycles * _CYCLE_SECONDS, since.microseconds * 1_000


def read_time(value: Any) -> datetime.datetime | str | None:
    """Return a time from either msgpack encoding: the timestamp extension, or an array of seconds and nanoseconds."""
    if type(value) is datetime.datetime:
        return None if value == _ZERO else value
    if type(value) is list and list(map(type, value)) == [int, int]:
        return from_unix(*value)
    if type(value) is msgpack.Timestamp:
        return from_unix(value.seconds, value.nanoseconds)
    if value is None:
        return None
    raise TypeError(f"must be a time, not {type(value).__name__}")

"""From records to the items of a list: what the Go programs would have filled in, and what they have no place for."""

import datetime
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from pumpkit import frames as wire
from pumpkit.dialects import Dialect, Encode, encoder, names
from pumpkit.errors import Unpackable

#: What the Go programs write as the expiry of a record that is to be kept.
_KEPT = datetime.timedelta(days=36_500)

Record = dict[str, Any]


class Items(NamedTuple):
    """The items of one frame: `items[i]` is of the record `first + i`, empty for one that is left out.

    `refused` says why, for those that are; `unknown` are fields that the dialect has no place for.
    """

    first: int
    items: list[bytes]
    refused: list[str]
    unknown: set[str]


class Writer(NamedTuple):
    """How one dialect writes records. `fill` adds what is missing: it is given a record and the time of its frame."""

    names: frozenset[str]
    fill: Callable[[Record, datetime.datetime], None]
    encode: Encode


def items(frame: bytes, writer: Writer) -> Items:
    """Return the items of a frame. Raises BadFrame, FrameTooNew."""
    content = wire.decode(frame)
    header = content.header
    made = Items(header.first, [b""] * header.total, [reason for _, reason, _ in content.bad], set())
    created = datetime.datetime.fromtimestamp(header.created_ms / 1000, datetime.UTC)
    for index, own in zip(content.indexes, content.records, strict=True):
        record = {**header.common, **own}
        made.unknown.update(record.keys() - writer.names)
        try:
            writer.fill(record, created)
            made.items[index] = writer.encode(record)
        except (Unpackable, ValueError, OverflowError) as error:
            made.refused.append(str(error))
    return made


def _fill_iam(record: Record, created: datetime.datetime) -> None:
    """Let the time stamp be whole Unix seconds, and the record expire."""
    if type(record.get("timestamp")) is not int:
        record["timestamp"] = math.floor(_moment(record.get("timestamp"), created).timestamp())
    if record.get("expire_at") is None:
        record["expire_at"] = created + _KEPT


def _fill_tyk(record: Record, created: datetime.datetime) -> None:
    """Let the time stamp be a time, its parts be there as well (in UTC), and the record expire."""
    at = _moment(record.get("timestamp"), created)
    record["timestamp"] = at
    for name in ("year", "month", "day", "hour"):
        if record.get(name) is None:
            record[name] = getattr(at, name)
    if record.get("expire_at") is None:
        record["expire_at"] = created + _KEPT


def _moment(value: Any, created: datetime.datetime) -> datetime.datetime:
    """Return a time stamp, as reporters may write it, as a time: Unix seconds, a time, ISO text; without one, now."""
    if value is None:
        return created
    if type(value) in (int, float):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if not isinstance(value, datetime.datetime):
        raise ValueError(f"timestamp: {value!r:.80} is no time")
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return aware.astimezone(datetime.UTC)


def writer(dialect: Dialect) -> Writer:
    """Return how a dialect writes records."""
    fields, fill = (names.IAM, _fill_iam) if dialect == "iam" else (names.TYK, _fill_tyk)
    return Writer(frozenset(fields.values()), fill, encoder(dialect))

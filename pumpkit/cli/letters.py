"""Dead letters as people and scripts see them."""

import base64
import datetime
import json
from collections.abc import Iterator
from typing import Any

from pumpkit.buffers.base import Buffer, DeadLetter
from pumpkit.cli.text import moment, safe
from pumpkit.values import unpack_record

#: Dead letters read from the buffer at a time.
PAGE = 500


def every(buffer: Buffer, pump: str, kind: str | None = None) -> Iterator[DeadLetter]:
    """Yield a pump's dead letters in order of position and id. Raises KeyError for an unknown pump."""
    after = None
    while page := buffer.dead_letters(pump, PAGE, after):
        yield from (letter for letter in page if kind in (None, letter.kind))
        after = page[-1].id


def summary(pump: str, letter: DeadLetter) -> dict[str, Any]:
    """Return all that is known of a dead letter but its record, for JSON."""
    return {
        "id": letter.id,
        "pump": pump,
        "at": moment(letter.at_ms),
        "at_ms": letter.at_ms,
        "kind": letter.kind,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "plugin": letter.plugin,
        "records": letter.records,
        "mark": letter.mark,
        "position": letter.position,
    }


def contents(letter: DeadLetter) -> Any:
    """Return a dead letter's record for JSON: bytes as `{"$bytes": BASE64}`, times as ISO text.

    What cannot be read (that is what a bad frame is) comes as its bytes.
    """
    try:
        return _plain(unpack_record(letter.record))
    except ValueError:
        return _plain(letter.record)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return repr(value)


def lines(pump: str, letter: DeadLetter) -> list[str]:
    """Return a dead letter for a person: what is known of it, then its record as JSON, indented."""
    pairs = {
        "id": letter.id,
        "pump": pump,
        "at": moment(letter.at_ms),
        "kind": letter.kind,
        "reason": letter.reason,
        "attempts": str(letter.attempts),
        "plugin": letter.plugin or "-",
        "marked for": letter.mark or "-",
        "position": str(letter.position),
    }
    if letter.records != 1:
        pairs["records"] = f"{letter.records}, the whole frame"
    width = max(map(len, pairs))
    record = json.dumps(contents(letter), indent=2, ensure_ascii=False)
    head = [f"{name.ljust(width)}  {safe(value)}" for name, value in pairs.items()]
    return [*head, "record", *("  " + safe(line) for line in record.splitlines())]

"""Writing documents by bulk requests, until each has a verdict or there is a reason to stop.

A part that was written or rejected is told to the pump at once (PartialWrite); a reason that stops the rest is raised
only when nothing else came of the call, so that the rest, sent again alone, names it. Nothing depends on it that the
pump remembers: what is sent again is there already, and is answered with 409.
"""

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import attrs
from elasticsearch import ApiError, Elasticsearch, TransportError

from pumpkit import ConfigError, PartialWrite, Unavailable
from pumpkit_es import answers
from pumpkit_es.answers import ServerFault, TooLarge
from pumpkit_es.body import Documents
from pumpkit_es.warned import log_warnings

_HEADERS = {"accept": "application/json", "content-type": "application/x-ndjson"}

#: What is wanted of an answer.
_FILTER = (
    "errors,items.*.status,items.*.failure_store,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
)

#: The reasons to stop, the one that matters most first.
_REASONS = (ConfigError, ServerFault, Unavailable, TimeoutError)


@attrs.define
class _Outcome:
    """What came of a call so far, by the places of the batch."""

    rejected: dict[int, str]
    written: int = 0
    retry: list[int] = attrs.field(factory=list)
    reasons: list[Exception] = attrs.field(factory=list)

    def put_off(self, places: Sequence[int], reason: Exception) -> None:
        """Note records that are to be sent again, and why."""
        self.retry += places
        self.reasons.append(reason)

    def raise_verdict(self) -> None:
        """Raise what the pump has to know; return if everything is written."""
        if self.retry and not self.written and not self.rejected:
            raise min(self.reasons, key=_rank)
        if self.retry or self.rejected:
            raise PartialWrite(self.rejected, sorted(self.retry))


def _rank(reason: Exception) -> int:
    return next(rank for rank, kind in enumerate(_REASONS) if isinstance(reason, kind))


class Bulk:
    """Bulk requests to one target: an index or data stream, or what each action names where `index` is empty."""

    def __init__(self, client: Elasticsearch, hosts: str, index: str, options: dict[str, Any], max_bytes: int) -> None:
        self._client = client
        self._hosts = hosts
        self._path = f"/{quote(index, safe='')}/_bulk" if index else "/_bulk"
        self._options = urlencode({"filter_path": _FILTER, **options}, safe=",*")
        #: The most bytes of a request; a server that takes less lowers it.
        self.max_bytes = max_bytes

    def write(self, documents: Documents, timeout: float | None) -> None:
        """Write a batch within so many seconds. Raises PartialWrite, or why nothing came of it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        outcome = _Outcome(dict(documents.refused))
        todo = [range(len(documents.lines))] if documents.lines else []
        while todo:
            part = self._next(documents.lines, todo)
            try:
                items = self._send([documents.lines[at] for at in part], deadline)
            except TooLarge as reason:
                self._cut(documents, part, todo, outcome, reason)
            except _REASONS as reason:
                rest = [at for left in (part, *todo) for at in left]
                outcome.put_off([documents.places[at] for at in rest], reason)
                break
            else:
                self._take(items, [documents.places[at] for at in part], outcome)
        outcome.raise_verdict()

    def _next(self, lines: Sequence[bytes], todo: list[range]) -> range:
        """Take as much as one request holds from the front of what is to be sent, at least one record."""
        first = todo.pop(0)
        size = 0
        for at in first:
            size += len(lines[at])
            if size > self.max_bytes and at > first.start:
                todo.insert(0, range(at, first.stop))
                return range(first.start, at)
        return first

    def _cut(self, documents: Documents, part: range, todo: list[range], outcome: _Outcome, reason: TooLarge) -> None:
        """Halve what was too large, and whatever comes later; reject a record that is too large alone."""
        size = sum(len(documents.lines[at]) for at in part)
        if len(part) == 1:
            told = f"a request of {size} bytes with this record alone is more than the server takes (status 413)"
            outcome.rejected[documents.places[part.start]] = f"{told}: {reason}".removesuffix(": ")
            return
        middle = (part.start + part.stop) // 2
        todo[:0] = [range(part.start, middle), range(middle, part.stop)]
        self.max_bytes = min(self.max_bytes, max(size // 2, 1))

    def _send(self, lines: Sequence[bytes], deadline: float | None) -> list[dict[str, Any]]:
        """Send one request; return an item for each of its documents, or nothing if all were written."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError(f"{self._hosts}: the time for this write ran out between two of its requests")
        # The server gives up waiting for shards a little earlier than this side, so that its reason is heard.
        patience = "" if left is None else f"&timeout={max(1, int(left * 900))}ms"
        try:
            with log_warnings():
                answer = self._client.options(request_timeout=left).perform_request(
                    "POST", f"{self._path}?{self._options}{patience}", headers=_HEADERS, body=b"".join(lines)
                )
        except (ApiError, TransportError) as error:
            raise answers.of_request(error, self._hosts) from None
        return self._items(answer.body, len(lines))

    def _items(self, body: Any, wanted: int) -> list[dict[str, Any]]:
        try:
            items = [item["create"] for item in body["items"]]
            complete = len(items) == wanted and all("status" in item for item in items)
        except (KeyError, TypeError):
            complete = False
        if not complete:
            raise ServerFault(
                f"{self._hosts}: the answer to a bulk request does not name each of its {wanted} documents"
            )
        is_plain = body.get("errors") is False and not any("failure_store" in item for item in items)
        return [] if is_plain else items

    def _take(self, items: Sequence[dict[str, Any]], places: Sequence[int], outcome: _Outcome) -> None:
        """Sort the records of a request by the verdicts on them; no items: all are written."""
        if not items:
            outcome.written += len(places)
            return
        for place, item in zip(places, items, strict=True):
            judgement = answers.of_item(item)
            match judgement.kind:
                case "written":
                    outcome.written += 1
                case "rejected":
                    outcome.rejected[place] = judgement.reason
                case "again":
                    outcome.put_off([place], Unavailable(f"{self._hosts}: {judgement.reason}"))
                case "person":
                    outcome.put_off([place], ConfigError(f"{self._hosts}: {judgement.reason}"))
                case "unknown":
                    outcome.put_off([place], ServerFault(f"{self._hosts}: {judgement.reason}"))

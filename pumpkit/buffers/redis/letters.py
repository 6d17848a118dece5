"""Dead letters as they are stored: what is known of one, its record, and its place in their order."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgpack

from pumpkit.buffers.base import DeadLetter
from pumpkit.buffers.redis.keys import PumpKeys
from pumpkit.buffers.redis.link import Link
from pumpkit.errors import BufferConfigError

#: Letters that one step changes.
_STEP = 250


class UnknownPump(BufferConfigError, KeyError):
    """No cursor, or no dead letter, of that name is known."""

    __str__ = Exception.__str__  # KeyError's would put quotes around the message


def place(letter: DeadLetter) -> bytes:
    """Return a letter's place in the order: by position, then by id."""
    return b"%020d:" % letter.position + utf8(letter.id)


def known(letter: DeadLetter, epoch: int) -> bytes:
    """Return what is known of a letter; `epoch` is which log, of those its pump has seen, it was counted in."""
    facts = [letter.at_ms, letter.kind, letter.reason, letter.attempts, letter.plugin, letter.records, epoch]
    packed: bytes = msgpack.packb(facts, unicode_errors="surrogatepass")
    return b"%020d|" % letter.position + packed


def restored(id_: str, stored: bytes) -> DeadLetter:
    """Return a letter as it is stored, without its record."""
    at_ms, kind, reason, attempts, plugin, records, _ = _facts(stored)
    return DeadLetter(id_, int(stored[:20]), at_ms, kind, reason, attempts, plugin, b"", records)


def epoch(stored: bytes) -> int:
    """Return the epoch of a stored letter."""
    number: int = _facts(stored)[6]
    return number


class Letters:
    """The dead letters of one pump, as anybody may read them."""

    def __init__(self, link: Link, keys: PumpKeys) -> None:
        self._link = link
        self._keys = keys

    def page(self, limit: int, after: str | None) -> list[DeadLetter]:
        """Return letters in order. Raises KeyError for an unknown `after`."""
        place = None
        if after is not None:
            place = self.place(after)
            if place is None:
                raise UnknownPump(f"there is no dead letter {after!r}")
        return self.after(limit, place)

    def place(self, id_: str) -> bytes | None:
        """Return a letter's place in the order, None if there is no such letter."""
        stored = self._link.command("HGET", self._keys.dead, utf8(id_))
        return None if stored is None else stored[:20] + b":" + utf8(id_)

    def after(self, limit: int, place: bytes | None) -> list[DeadLetter]:
        """Return letters in order, those after a place."""
        least = b"-" if place is None else b"(" + place
        places = self._link.command("ZRANGEBYLEX", self._keys.order, least, "+", "LIMIT", 0, limit)
        return self._read([place[21:] for place in places])

    def marked(self, limit: int) -> list[DeadLetter]:
        """Return letters that somebody marked, in order."""
        places = self._link.command("ZRANGEBYLEX", self._keys.marked, "-", "+", "LIMIT", 0, limit)
        return self._read([place[21:] for place in places])

    def stored(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return what is stored of letters, None for those that are gone."""
        found: list[bytes | None] = self._link.command("HMGET", self._keys.dead, *map(utf8, ids)) if ids else []
        return found

    def mark(self, mark: str, ids: Sequence[str] | None) -> int:
        """Mark letters, all of them without `ids`; return how many."""
        keys = [self._keys.dead, self._keys.marks, self._keys.marked]
        marked = 0
        for some in self._places() if ids is None else batched(list(dict.fromkeys(map(utf8, ids)))):
            marked += int(self._link.call("mark", keys, [mark, *some]))
        return marked

    def _places(self) -> Iterator[list[bytes]]:
        """Yield the ids of all letters, in order."""
        least = b"-"
        while places := self._link.command("ZRANGEBYLEX", self._keys.order, least, "+", "LIMIT", 0, _STEP):
            yield [place[21:] for place in places]
            least = b"(" + places[-1]

    def _read(self, ids: Sequence[bytes]) -> list[DeadLetter]:
        if not ids:
            return []
        keys = self._keys
        columns = [self._link.command("HMGET", key, *ids) for key in (keys.dead, keys.records, keys.marks)]
        letters = []
        for id_, stored, record, mark in zip(ids, *columns, strict=True):
            if stored is not None and record is not None:  # else it went meanwhile
                letter = restored(id_.decode(errors="surrogatepass"), stored)
                letters.append(letter._replace(record=record, mark=mark.decode() if mark else None))
        return letters


def _facts(stored: bytes) -> list[Any]:
    facts: list[Any] = msgpack.unpackb(stored[21:], unicode_errors="surrogatepass")
    return facts


def batched(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield ids in groups that one step can change."""
    return (ids[begin : begin + _STEP] for begin in range(0, len(ids), _STEP))


def utf8(text: str) -> bytes:
    """Return a text's bytes; lone surrogates are text as well."""
    return text.encode(errors="surrogatepass")

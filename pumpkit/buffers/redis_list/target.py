"""What a reporter writes to in place of a buffer: a list that a Go pump drains."""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NoReturn

from pumpkit import frames as wire
from pumpkit.buffers.base import Confirm, Gap
from pumpkit.buffers.redis.confirm import Confirmation
from pumpkit.buffers.redis.link import Argument, Link
from pumpkit.buffers.redis_list.items import Items, items, writer
from pumpkit.buffers.redis_list.url import ListPlace
from pumpkit.errors import BufferConfigError, BufferUnavailable

#: Items and bytes that one script pushes at most (one item always): the server does nothing else meanwhile.
_SLICE_ITEMS = 500
_SLICE_BYTES = 256 << 10

#: Seconds for which a silent producer is remembered. Afterwards a repeated frame would be pushed again.
_REMEMBERED = 7 * 86_400

#: Names of unknown fields that are told, at most: they may come from outside.
_MOST_NAMES = 50

#: What everybody is told who wants more of a list than to append to it.
REFUSAL = (
    "a list that another program drains is written by reporters only; give the runner a buffer of its own, and name the"
    " list among its `inputs` if pumpkit is to drain it"
)

log = logging.getLogger(__name__)


class RedisList:
    """A list in Redis as a reporter sees it: it can be appended to. Threads may share it."""

    can_be_shared: ClassVar = False
    may_forget: ClassVar = False  # it may, but what was drained must not come again

    def __init__(self, where: ListPlace) -> None:
        self._where = where
        self._writer = writer(where.dialect)
        self._link = Link(where.place)
        self._confirmation = Confirmation(self._link)
        # The sequence after what was pushed here of a producer, as surely as it was asked for.
        self._pushed: dict[tuple[bytes, Confirm], int] = {}
        self._told: set[str] = set()

    def append(
        self,
        frames: Sequence[bytes],
        *,
        accept_gap: bool = False,
        timeout: float = 5.0,
        confirm: Confirm = "stored",
    ) -> Gap | None:
        """Push the records of frames of one producer, in order, each once; see `base.Buffer.append`.

        It happens in slices: what was pushed before this raises is not pushed again when it is repeated. A record
        that the dialect cannot express is left out, a field that it has no place for as well; both are logged.
        """
        headers = [wire.read_header(frame) for frame in frames]
        if len({header.producer for header in headers}) > 1:
            raise ValueError("one append takes frames of one producer")
        until = time.monotonic() + timeout
        pairs = [(header, frame) for header, frame in zip(headers, frames, strict=True) if header.total]
        gap = self._push_all(pairs, accept_gap, until, confirm)
        if gap is not None and self._pushed.pop(
            (headers[0].producer, confirm), 0
        ):  # the server has forgotten what it had
            gap = self._push_all(pairs, accept_gap, until, confirm)
        return gap

    def _push_all(
        self, pairs: Sequence[tuple[wire.Header, bytes]], accept_gap: bool, until: float, confirm: Confirm
    ) -> Gap | None:
        for header, frame in pairs:
            if header.next_seq <= self._pushed.get((header.producer, confirm), 0):
                continue
            made = items(frame, self._writer)
            for first, part in _slices(made):
                expected = self._push(header.producer, first, part, accept_gap, until, confirm)
                if expected is not None:
                    return Gap(expected)
            self._pushed[header.producer, confirm] = header.next_seq
            self._tell(made)
        return None

    def _push(
        self, producer: bytes, first: int, part: list[bytes], accept_gap: bool, until: float, confirm: Confirm
    ) -> int | None:
        """Push one slice; return None, or the sequence that is expected if this one leaves a gap."""
        left = until - time.monotonic()
        if left <= 0:
            raise BufferUnavailable(f"{self._where.place.shown}: not all records were pushed in time")
        keys = [self._where.key, f"{{{self._where.key}}}:pumpkit:producer:{producer.hex()}"]
        arguments: list[Argument] = [first, int(accept_gap), _REMEMBERED, *part]
        state, expected = self._confirmation.call("push", keys, arguments, confirm, left)
        return int(expected) if state == b"gap" else None

    def _tell(self, made: Items) -> None:
        """Log what a Go pump will not see."""
        name = f"the list {self._where.key}"
        if made.refused:
            log.error("%s: %d records cannot be written, such as: %s", name, len(made.refused), made.refused[0])
        unknown = made.unknown - self._told
        if unknown and len(self._told) < _MOST_NAMES:
            self._told |= unknown
            fields = ", ".join(sorted(map(repr, unknown))[:_MOST_NAMES])
            log.warning("%s: records of %s have no field %s; left out", name, self._where.dialect, fields)

    def close(self) -> None:
        """Close connections. Idempotent."""
        self._link.close()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise BufferConfigError: nothing here can be read, nor kept for anybody."""
        raise BufferConfigError(REFUSAL)

    cursor = register = trim = skip_target = set_max_bytes = set_wanted = drop_cursor = rename_cursor = _refuse
    dead_letters = mark = stats = runner_lock = runner = runners = parts = _refuse


def _slices(made: Items) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the items of a frame in parts that one script can push, each with the sequence of its first."""
    part: list[bytes] = []
    first, size = made.first, 0
    for item in made.items:
        if part and (len(part) == _SLICE_ITEMS or size + len(item) > _SLICE_BYTES):
            yield first, part
            first, size, part = first + len(part), 0, []
        part.append(item)
        size += len(item)
    if part:
        yield first, part

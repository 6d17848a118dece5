"""The Redis list that an unmodified iam-pump or Tyk Pump drains, filled by reporters as the Go programs fill it.

    KEY                                the list, one item a record
    {KEY}:pumpkit:producer:PRODUCER    the sequence that is expected next of a producer; it expires

It is a place to report to, and no buffer that pumps of ours could read: what is in the list is gone once the Go pump
has taken it. See `url` for its URLs and `items` for what becomes of a record.
"""

from pumpkit.buffers.base import Buffer, Fact
from pumpkit.buffers.redis_list import url as urls
from pumpkit.buffers.redis_list.target import REFUSAL, RedisList
from pumpkit.errors import BufferConfigError


def open(url: str, *, create: bool, timeout: float = 5.0) -> Buffer:
    """Return the list at `url`; nothing is connected before the first append. Raises BufferConfigError."""
    return RedisList(urls.parse(url))


def facts(url: str) -> list[Fact]:
    """Raise BufferConfigError: no runner works with a list."""
    urls.parse(url)
    raise BufferConfigError(REFUSAL)

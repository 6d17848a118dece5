"""The buffer in Redis or Valkey, for many machines. It holds, for a name that is the hash tag of every key:

    {NAME}:log           stream: one entry a frame, its id the microsecond in which it was stored; a group for each pump
    {NAME}:meta          hash: the log's id, its size cap, totals
    {NAME}:producers     hash: next sequence and drops of each producer
    {NAME}:pumps         set: the registered pumps
    {NAME}:pump:PUMP     hash: its place and its ledger; beside it {NAME}:accepted:PUMP, :dead:PUMP and so on
    {NAME}:locks         hash: leases of runners, cursors and importers

With `shards=N` there are N of all this, the first under NAME, the others under NAME:1 and so on.

Everything that changes is changed by a script (`lua/`), in one step, after the script has looked at the lease that
allows it. So answers may get lost, and processes may freeze and wake up: nothing happens twice, and nothing by halves.
"""

from pumpkit.buffers.base import Buffer, Fact
from pumpkit.buffers.redis import about
from pumpkit.buffers.redis import url as urls
from pumpkit.buffers.redis.buffer import RedisBuffer
from pumpkit.buffers.redis.link import PATIENCE
from pumpkit.buffers.redis.shards import ShardedBuffer
from pumpkit.errors import BufferError


def open(url: str, *, create: bool, timeout: float = PATIENCE) -> Buffer:
    """Open the buffer at `url`; what such a URL may say is in `url`.

    With `create` it is made if it is missing, and made again if somebody removes it later. Without, a missing one
    raises BufferMissing. `timeout` is what each call may take, in seconds, that names none. Raises BufferUnavailable if
    the server cannot be reached, BufferConfigError if it cannot work so.
    """
    place = urls.parse(url)
    first = RedisBuffer(place, create=create, timeout=timeout)
    if first.shards == 1:
        return first
    shards = [first]
    try:
        for number in range(1, first.shards):
            of_shard = place._replace(name=f"{place.name}:{number}", shards=first.shards)
            shards.append(RedisBuffer(of_shard, create=create, timeout=timeout, shard=number))
    except BufferError:
        for shard in shards:
            shard.close()
        raise
    return ShardedBuffer(shards)


def facts(url: str) -> list[Fact]:
    """Return what there is to know of the servers at `url`; see `base.BufferModule.facts`."""
    return about.facts(urls.parse(url))

"""What these benchmarks write: documents of about 600 bytes, with few fields and with many."""

import random
from typing import Any

from benchmarks import authz
from benchmarks.backlog import Maker
from pumpkit.ids import new_producer, record_ids
from pumpkit.values import pack_record, unpack_record


def wide(count: int) -> list[dict[str, Any]]:
    """Return records of 32 short fields: texts, integers, fractions, booleans and times."""
    chance = random.Random(1)
    return [
        {field: record[field] for field in ("timestamp", "username", "effect", "expire_at")}
        | {f"label_{n:02}": f"{chance.getrandbits(40):010x}" for n in range(10)}
        | {f"count_{n:02}": chance.randrange(1_000_000) for n in range(10)}
        | {f"share_{n}": chance.random() for n in range(4)}
        | {f"flag_{n}": chance.random() < 0.5 for n in range(4)}
        for record in authz.records(count)
    ]


#: Records by what they are called.
SHAPES: dict[str, Maker] = {"8 fields": authz.records, "32 fields": wide}

#: Different records; a frame of the log has them all, and is a batch.
BATCH = 1_000


def with_ids(shape: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return so many records in memory, each an object of its own, with ids as the pump gives them."""
    packed = [pack_record(record) for record in SHAPES[shape](BATCH)]
    ids = record_ids(new_producer(), 0, count)
    return [(id_, unpack_record(packed[number % BATCH])) for number, id_ in enumerate(ids)]

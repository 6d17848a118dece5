"""Sampling: which records are taken at all, decided by the thread that records."""

import enum
import random
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Sample(NamedTuple):
    """Take a share of the records.

    rate: the share, above 0 and up to 1.
    key: the name of a field, such as a trace or a user. All records that agree in it are taken, or none, in every
        process and service alike; records that lack it are taken. Without a key, chance decides about each record.
    """

    rate: float
    key: str | None = None


def checked(sample: object) -> Sample | None:
    """Return the sample, None if it takes everything. Raises ValueError for what is none."""
    rate, key = sample if isinstance(sample, Sample) else (sample, None)
    number = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate <= 1
    if not (number and (key is None or (isinstance(key, str) and key))):
        raise ValueError(
            f"sample={sample!r:.200}: it must be a share above 0 and up to 1, or Sample(rate, key='field')"
        )
    return None if rate == 1 else Sample(float(rate), key)  # type: ignore[arg-type]


def chooser(sample: Sample) -> Callable[[object], bool]:
    """Return what says whether to take a record. It raises nothing."""
    rate, key = sample
    chance = random.Random().random  # our own: the application may have seeded the common one

    def by_chance(record: object) -> bool:
        return chance() < rate

    def by_key(record: object) -> bool:
        try:
            value = record.get(key) if isinstance(record, Mapping) else getattr(record, key, None)  # type: ignore[arg-type]
            if isinstance(value, enum.Enum):  # on the wire it is its value
                value = value.value
            return value is None or zlib.crc32(str(value).encode("utf-8", "surrogatepass")) < rate * 2**32
        except Exception:  # a record with code of its own; packing will say what is wrong with it
            return True

    return by_chance if key is None else by_key

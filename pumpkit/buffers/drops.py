"""What reporters dropped: totals by cause, and who dropped it.

A frame carries its producer's totals. What is new in them when it is appended is counted for the host that appends and
for the reporter's source. A host may have another name with every container, so only the pairs of host and source that
dropped last are counted apart; a pair that has to make room moves into one sum of others, and begins at 0 if it drops
again. Nothing counted is ever taken away: all pairs together are what was dropped.
"""

from collections.abc import Iterable, Mapping

from pumpkit.buffers.base import HostDrops

#: Pairs of host and source that one log counts apart.
PAIRS = 100

#: The host of what moved out of its pair, and of what an older version of pumpkit has counted, which kept no hosts.
OTHER, UNKNOWN = "other", "unknown"


def add(drops: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return sums by cause."""
    return {**drops, **{cause: drops.get(cause, 0) + total for cause, total in more.items()}}


def subtract(drops: Mapping[str, int], less: Mapping[str, int]) -> dict[str, int]:
    """Return what is above 0 of the differences by cause."""
    left = {cause: total - less.get(cause, 0) for cause, total in drops.items()}
    return {cause: total for cause, total in left.items() if total > 0}


def later(drops: Mapping[str, int], totals: Mapping[str, int]) -> dict[str, int]:
    """Return the later totals by cause: a repeated frame carries older ones."""
    return {**drops, **{cause: max(total, drops.get(cause, 0)) for cause, total in totals.items()}}


def count(rows: Iterable[HostDrops], host: str, source: str, now_ms: int, more: Mapping[str, int]) -> list[HostDrops]:
    """Return rows, of which the one that dropped last is the last, after a pair has dropped more."""
    others, pairs, pair = HostDrops(OTHER, "", None, {}), [], HostDrops(host, source, now_ms, {})
    for row in rows:
        if row.last_ms is None:
            others = row
        elif (row.host, row.source) == (host, source):
            pair = row
        else:
            pairs.append(row)
    pairs.append(pair._replace(last_ms=now_ms, drops=add(pair.drops, more)))
    while len(pairs) > PAIRS:
        others = others._replace(drops=add(others.drops, pairs.pop(0).drops))
    return [others, *pairs] if others.drops else pairs


def total(rows: Iterable[HostDrops]) -> dict[str, int]:
    """Return the sums of rows by cause."""
    drops: dict[str, int] = {}
    for row in rows:
        drops = add(drops, row.drops)
    return drops


def complete(rows: Iterable[HostDrops], drops: Mapping[str, int]) -> list[HostDrops]:
    """Return rows turned round: the one that dropped last first, sums last, with what else is in the totals.

    That is in one more row, of an unknown host.
    """
    found = sorted(reversed(list(rows)), key=lambda row: row.last_ms is None)
    rest = subtract(drops, total(found))
    return [*found, HostDrops(UNKNOWN, "", None, rest)] if rest else found


def together(rows: Iterable[HostDrops]) -> list[HostDrops]:
    """Return the sums of rows of several logs, each as `complete` returns them, in the same order."""
    sums: dict[tuple[str, str, bool], HostDrops] = {}
    for row in rows:
        key = row.host, row.source, row.last_ms is None
        known = sums.get(key, row._replace(drops={}))
        last_ms = None if row.last_ms is None else max(row.last_ms, known.last_ms or 0)
        sums[key] = known._replace(last_ms=last_ms, drops=add(known.drops, row.drops))
    return sorted(sums.values(), key=lambda row: (row.last_ms is None, -(row.last_ms or 0), row.host))

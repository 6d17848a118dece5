"""The keys of a buffer. All have the same hash tag, its name: in a cluster they are in one slot."""

from typing import NamedTuple


class PumpKeys(NamedTuple):
    """What belongs to one pump."""

    pump: str  # hash: its place, its ledger, what is wanted of it
    accepted: str  # hash: parts of entries that the sink has taken, by position
    dead: str  # hash: what is known of dead letters, by id
    records: str  # hash: their records, by id
    order: str  # sorted set: their ids, each behind its position
    marks: str  # hash: what a person asked for, by id
    marked: str  # sorted set, as `order`: those with a mark


class Keys(NamedTuple):
    """What belongs to the log."""

    name: str
    log: str  # stream: one entry a frame
    meta: str  # hash: id, size cap, totals
    producers: str  # hash: what is known of each, by its id
    pumps: str  # set: names of those that are registered
    locks: str  # hash: leases

    @classmethod
    def of(cls, name: str) -> "Keys":
        """Return the keys of the buffer with this name."""
        return cls(name, *(f"{{{name}}}:{what}" for what in ("log", "meta", "producers", "pumps", "locks")))

    @property
    def pump_prefix(self) -> str:
        """What the key of a pump's hash begins with; the pump's name follows."""
        return f"{{{self.name}}}:pump:"

    @property
    def dead_prefix(self) -> str:
        """The same for its dead letters."""
        return f"{{{self.name}}}:dead:"

    def of_pump(self, pump: str) -> PumpKeys:
        """Return what belongs to a pump."""
        kinds = ("accepted", "dead", "records", "order", "marks", "marked")
        return PumpKeys(self.pump_prefix + pump, *(f"{{{self.name}}}:{kind}:{pump}" for kind in kinds))

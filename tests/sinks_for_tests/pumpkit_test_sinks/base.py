"""What all these sinks share: writing down what they accepted, and knowing when to misbehave."""

import json
import os
from pathlib import Path
from typing import Any

import attrs

from pumpkit import Predicate, PumpConfig, Record, Records, Shorten, hookimpl


def arrived(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the complete lines that a sink has written so far; none if there is no file yet."""
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@attrs.define(eq=False)
class FileSink:
    """Appends what it accepts to a file; a subclass says in `misbehave` what it does when provoked."""

    path: str
    field: str = ""
    value: str = ""
    until: str = ""
    once: bool = False
    where: str = "write"
    writes: int = attrs.field(default=0, init=False)

    def misbehave(self) -> None:
        """Do what this sink is for. One that returns goes on as if nothing had happened."""

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Misbehave here, if so configured."""
        self.provoke("init", [{}])

    @hookimpl
    def filters(self, config: PumpConfig) -> Predicate | None:
        """Misbehave over a record, if so configured."""
        return self._wants if self.where == "filters" else None

    @hookimpl
    def omit_detail(self, config: PumpConfig) -> Shorten | None:
        """Misbehave over a record, if so configured."""
        return self._shorten if self.where == "omit-detail" else None

    @hookimpl
    def write_data(self, records: Records, ids: list[str], late: bool) -> None:
        """Misbehave or write down the batch."""
        self.provoke("write", records)
        self.accept(records, ids, late)

    @hookimpl
    def close(self) -> None:
        """Misbehave here, if so configured."""
        self.provoke("close", [{}])

    def accept(self, records: Records, ids: list[str], late: bool) -> None:
        """Append records to the file in one system call."""
        self.writes += 1
        line: dict[str, Any] = {"late": late, "pid": os.getpid(), "write": self.writes}
        lines = (json.dumps({"id": id_, "record": r} | line, default=str) for id_, r in zip(ids, records, strict=True))
        text = "".join(f"{line}\n" for line in lines)
        with open(self.path, "ab", buffering=0) as file:
            file.write(text.encode())

    def provoke(self, where: str, records: Records) -> None:
        """Misbehave if this is the place and one of the records provokes it."""
        if where == self.where and (where in ("init", "close") or any(map(self.provokes, records))) and self.armed():
            self.misbehave()

    def provokes(self, record: Record) -> bool:
        """Return whether a record provokes this sink."""
        return not self.field or str(record.get(self.field)) == self.value

    def armed(self) -> bool:
        """Return whether it is still to misbehave; with `once`, the last time."""
        if self.until and os.path.exists(self.until):
            return False
        if self.until and self.once:
            Path(self.until).touch()
        return True

    def _wants(self, record: Record) -> bool:
        self.provoke("filters", [record])
        return True

    def _shorten(self, record: Record) -> Record:
        self.provoke("omit-detail", [record])
        return record

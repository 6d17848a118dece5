"""Where the sinks of these tests write."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pumpkit.hookspecs import Record
from pumpkit.testing import Arrived, Destination, Shelf
from tests.conformance.reference_sink import encode


class ShelfDestination(Destination):
    """A shelf of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shelf = Shelf()

    def meta(self) -> dict[str, Any]:
        return {"url": self.shelf.url, "token": self.shelf.token}

    def read(self) -> Sequence[Arrived]:
        return [Arrived(id_, {k: v for k, v in record.items() if k != "_id"}) for id_, record in self.shelf.kept]

    read_in_order = read

    def expected(self, record: Record) -> Record:
        found: Record = json.loads(encode(record, ""))
        del found["_id"]
        return found

    def close(self) -> None:
        self.shelf.stop()

    def stop(self) -> None:
        self.shelf.stop()

    def start(self) -> None:
        self.shelf.start()

    def hang(self) -> None:
        self.shelf.hang()

    def unhang(self) -> None:
        self.shelf.unhang()

    def busy(self, seconds: int) -> None:
        self.shelf.busy = seconds

    def poison(self) -> Record:
        return {"number": -1, "refuse": True}

    def bad_login(self) -> dict[str, Any]:
        return self.meta() | {"token": "wrong-0d1f"}

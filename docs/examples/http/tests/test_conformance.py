"""The conformance kit, on this sink and the server in `shelf.py`."""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from shelf import Shelf

from pumpkit import Record
from pumpkit.testing import Arrived, Destination, SinkConformance


class ShelfDestination(Destination):
    """A shelf of its own for each case."""

    cannot = {
        "busy": "it never asks for a pause",
        "bad_login": "it asks for no credentials",
        "poison": "it keeps whatever a reporter can send",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shelf = Shelf(0)
        self.port = self.shelf.server_port
        self.deaf: socket.socket | None = None
        self.serve()

    def serve(self) -> None:
        self.thread = Thread(target=self.shelf.serve_forever, args=(0.01,))
        self.thread.start()

    def meta(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.port}/records"}

    def read(self) -> Sequence[Arrived]:
        kept = list(self.shelf.kept.items())
        return [Arrived(id_, {k: v for k, v in record.items() if k != "_id"}) for id_, record in kept]

    read_in_order = read

    def expected(self, record: Record) -> Record:
        found: Record = json.loads(json.dumps({**record, "_id": None}, default=str))
        del found["_id"]  # the record's own does not win
        return found

    def stop(self) -> None:
        self.shelf.shutdown()
        self.thread.join()
        self.shelf.server_close()

    def start(self) -> None:
        kept, self.shelf = self.shelf.kept, Shelf(self.port)
        self.shelf.kept = kept
        self.serve()

    def hang(self) -> None:
        self.stop()
        self.deaf = socket.create_server(("127.0.0.1", self.port))  # takes connections, and answers none

    def unhang(self) -> None:
        if self.deaf is not None:
            self.deaf.close()
            self.deaf = None
            self.start()

    def close(self) -> None:
        self.unhang()
        self.stop()


class TestHttpSink(SinkConformance):
    plugin = "http"
    destination = ShelfDestination
    gaps = {
        "connection_test_truthful": "it connects when it writes, and not before",
        "write_after_close_raises": "it keeps nothing that could be closed",
    }

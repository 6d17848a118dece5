"""A server for the example sink: it keeps one object per `_id`, in memory."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Shelf(HTTPServer):
    """Keeps what is PUT to it."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.kept: dict[str, dict[str, Any]] = {}


class Handler(BaseHTTPRequestHandler):
    """Answers PUT."""

    server: Shelf

    def do_PUT(self) -> None:
        """Keep what came, one JSON object a line."""
        for line in self.rfile.read(int(self.headers["Content-Length"])).splitlines():
            record = json.loads(line)
            self.server.kept[record["_id"]] = record
        print(len(self.server.kept), "records", flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    Shelf(8080).serve_forever()

"""A server for the example sink: it keeps one object per `_id`, in memory."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

kept: dict[str, dict[str, Any]] = {}


class Shelf(BaseHTTPRequestHandler):
    """Answers PUT."""

    def do_PUT(self) -> None:
        """Keep what came, one JSON object a line."""
        for line in self.rfile.read(int(self.headers["Content-Length"])).splitlines():
            record = json.loads(line)
            kept[record["_id"]] = record
        print(len(kept), "records", flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 8080), Shelf).serve_forever()

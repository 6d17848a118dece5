"""An HTTP server that gives the answers of a script, for what no Elasticsearch here can be made to say."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs

#: What a real server says of itself in every answer.
PRODUCT = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"}

ABOUT = {
    "name": "scripted",
    "version": {"number": "9.5.3", "build_flavor": "default"},
    "tagline": "You Know, for Search",
}


@attrs.frozen
class Answer:
    """One answer: status, body (bytes, or what becomes JSON) and headers."""

    status: int
    body: Any = b""
    headers: dict[str, str] = attrs.field(factory=lambda: dict(PRODUCT))


class ScriptedServer:
    """Answers `GET /` as Elasticsearch, and bulk requests in the order of `answers`; the last one stays."""

    def __init__(self, *answers: Answer, about: Answer | None = None) -> None:
        self.answers = list(answers)
        self.about = about or Answer(200, ABOUT)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens, on the loopback interface."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(server.about)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, dict(self.headers), body))
                self._answer(server.answers.pop(0) if len(server.answers) > 1 else server.answers[0])

            def _answer(self, answer: Answer) -> None:
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler

    def stop(self) -> None:
        """End it."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def items(*statuses: int, **error: str) -> Answer:
    """Return the answer of a bulk request with these statuses; those that are no success have this error."""
    made: list[dict[str, Any]] = [
        {"status": status} | ({"error": error} if status > 299 else {}) for status in statuses
    ]
    return Answer(
        200, {"errors": any(status > 299 for status in statuses), "items": [{"create": item} for item in made]}
    )

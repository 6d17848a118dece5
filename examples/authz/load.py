"""Load for the service: `python load.py --requests 10000 --concurrency 8`. Needs nothing but Python."""

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

#: What is asked for: of every four requests two are granted, one is forcefully denied and one by default.
KINDS: list[dict[str, Any]] = [
    {"subject": "users:peter", "action": "get"},
    {"subject": "users:ken", "action": "delete", "context": {"remoteIP": "192.168.0.5"}},
    {"subject": "users:peter", "action": "delete", "context": {"shelf": "archive"}},
    {"subject": "users:mallory", "action": "update"},
]


def request(number: int) -> dict[str, Any]:
    """Return the request with this number, which its resource tells."""
    return {**KINDS[number % len(KINDS)], "resource": f"resources:articles:{number}"}


class Load:
    """Requests from several threads, each with a connection of its own."""

    def __init__(self, url: str, username: str) -> None:
        self.address = urlsplit(url).netloc
        self.headers = {"Content-Type": "application/json", "X-Username": username}
        #: The answer to each number that got one by now.
        self.answers: dict[int, str] = {}
        #: The numbers of those that got none.
        self.unanswered: list[int] = []
        #: Set to send no further requests.
        self.stopping = threading.Event()

    def run(self, first: int, requests: int, concurrency: int) -> float:
        """Send requests with the numbers from `first` on; return the seconds that it took. Ctrl-C ends it early."""
        shares = [range(first + begin, first + requests, concurrency) for begin in range(concurrency)]
        threads = [threading.Thread(target=self._send, args=[share]) for share in shares]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self.stopping.set()
            for thread in threads:
                thread.join()
        return time.perf_counter() - began

    def _send(self, numbers: range) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        for number in numbers:
            if self.stopping.is_set():
                break
            try:
                connection.request("POST", "/v1/authz", json.dumps(request(number)), self.headers)
                with connection.getresponse() as response:
                    answer = json.load(response)
            except (OSError, http.client.HTTPException, ValueError):
                self.unanswered.append(number)
                connection.close()  # the next request opens it again
                time.sleep(0.1)  # a service that restarts needs a moment
                continue
            self.answers[number] = (
                "allowed" if answer.get("allowed") else "denied" if answer.get("denied") else "failed"
            )
        connection.close()


def main() -> None:
    """Send the requests and print the rate, and how many were allowed and denied."""
    parser = argparse.ArgumentParser(description="Load for the authorization service.")
    parser.add_argument("--url", default="http://127.0.0.1:9090")
    parser.add_argument("--username", default="colin", help="whose policies decide")
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="the number of the first request")
    parser.add_argument("--answers", help="a file to write each number and its answer to, as JSON")
    options = parser.parse_args()
    load = Load(options.url, options.username)
    seconds = load.run(options.first, options.requests, options.concurrency)
    counts = Counter(load.answers.values())
    sent = len(load.answers) + len(load.unanswered)
    print(
        f"{sent} requests in {seconds:.1f} s ({sent / seconds:.0f} a second): {counts['allowed']} allowed,"
        f" {counts['denied']} denied, {counts['failed'] + len(load.unanswered)} failed"
    )
    if options.answers:
        with open(options.answers, "w") as file:
            json.dump(load.answers, file)


if __name__ == "__main__":
    main()

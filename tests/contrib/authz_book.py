"""What tests of authorization decisions share: a reporter whose records can be read, a request, policies."""

from pathlib import Path
from typing import Any

from pumpkit import Reporter
from tests.programs import contents

REQUEST = {"subject": "users:peter", "action": "delete", "resource": "printer", "context": {"ip": "10.0.0.7"}}

#: What stands in place of a value that has no JSON.
UNREADABLE = {"unreadable": True}

ADMINS, STAFF, NIGHT = ({"id": name} for name in ("admins", "staff", "night"))


class Book:
    """A reporter into a buffer of its own, and what has arrived there."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'buffer.db'}"
        self.reporter = Reporter(self.url, flush_interval=0.01)

    def records(self) -> list[dict[str, Any]]:
        """Return every record, in order."""
        assert self.reporter.close(30)[1:] == (0, 0)
        return [record for content in contents(self.url) for record in content.records]

    def record(self) -> dict[str, Any]:
        """Return the one record that there is."""
        (record,) = self.records()
        return record

    def verdict(self) -> tuple[str, str]:
        """Return effect and conclusion of the one record."""
        record = self.record()
        return record["effect"], record["conclusion"]

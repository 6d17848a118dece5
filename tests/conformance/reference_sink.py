"""The sink that passes every case: what mutants are made of. It writes to a `pumpkit.testing.Shelf`."""

import http.client
import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import attrs

from pumpkit import ConfigError, Meta, PartialWrite, PumpConfig, Record, Records, Secret, Unavailable, hookimpl, key

#: Bytes of one request.
MAX_BYTES = 4 << 20


def encode(record: Record, id_: str) -> bytes:
    """Return a record as one line. Raises ValueError for what JSON has not."""
    return json.dumps({**record, "_id": id_}, default=_as_text, allow_nan=False).encode()


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise ValueError(f"{type(value).__name__} has no place in JSON")


@attrs.define(eq=False)
class ReferenceSink:
    """Writes to a shelf, each record once."""

    ordered: ClassVar[bool] = False
    duplicates: ClassVar[Literal["never", "possible"]] = "never"

    url: str = key(about="Where the shelf is.")
    token: Secret = key(about="What it lets us in by.")
    max_bytes: int = key(MAX_BYTES, about="Bytes of one request.")

    _connection: http.client.HTTPConnection | None = attrs.field(default=None, init=False, repr=False)
    _is_open: bool = attrs.field(default=False, init=False, repr=False)

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Ask the shelf whether it lets us in."""
        self.request("GET", b"", 10.0)
        self._is_open = True

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Send what JSON can hold, in requests of at most `max_bytes`."""
        if not self._is_open:
            raise RuntimeError("write_data before init, or after close")
        rejected: dict[int, str] = {}
        lines: dict[int, bytes] = {}
        for index, (record, id_) in enumerate(zip(records, ids, strict=True)):
            try:
                lines[index] = self.encode(record, id_)
            except (ValueError, TypeError, RecursionError) as error:
                rejected[index] = str(error)
        for part in self.parts(lines):
            answer = self.request("PUT", b"\n".join(lines[index] for index in part), timeout)
            rejected |= {part[int(number)]: reason for number, reason in answer["rejected"].items()}
        if rejected:
            raise PartialWrite(rejected)

    def encode(self, record: Record, id_: str) -> bytes:
        """Return a record as one line."""
        return encode(record, id_)

    def parts(self, lines: dict[int, bytes]) -> Iterator[list[int]]:
        """Give the indices of each request."""
        part: list[int] = []
        size = 0
        for index, line in lines.items():
            if part and size + len(line) > self.max_bytes:
                yield part
                part, size = [], 0
            part.append(index)
            size += len(line) + 1
        if part:
            yield part

    def request(self, method: str, body: bytes, timeout: float | None) -> Any:
        """Return the shelf's answer. Raises a verdict."""
        place = urlsplit(self.url)
        if self._connection is None:
            self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout)
        try:
            if self._connection.sock is not None:
                self._connection.sock.settimeout(timeout)
            self._connection.request(method, place.path, body, {"Authorization": f"Bearer {self.token.reveal()}"})
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.let_go()
            raise Unavailable(f"the shelf: {type(error).__name__}: {error}") from error
        if response.status == 401:
            raise ConfigError("the shelf refuses the token")
        if response.status == 429:
            raise Unavailable("the shelf is busy", retry_after=float(response.headers["Retry-After"]))
        if response.status != 200:
            raise Unavailable(f"the shelf answers {response.status}")
        return json.loads(text)

    def let_go(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @hookimpl
    def close(self) -> None:
        """Close the connection."""
        self._is_open = False
        self.let_go()


@hookimpl
def new(meta: Meta) -> ReferenceSink:
    """Return the sink for one pump."""
    return meta.into(ReferenceSink)

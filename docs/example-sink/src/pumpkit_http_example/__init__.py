"""A pumpkit sink that PUTs records to a URL: one JSON object a line, the record's id as `_id`."""

import json
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import attrs

from pumpkit import Meta, Records, Unavailable, hookimpl


@attrs.define(eq=False)
class HttpSink:
    """Writes to `url`, which is to keep one object per `_id`, so that a record sent twice is stored once."""

    url: str

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Send a batch; when the server only asks for time, say so. Any other error is for the pump to look into."""
        lines = (json.dumps({**record, "_id": id_}, default=str) for record, id_ in zip(records, ids, strict=True))
        request = Request(self.url, "\n".join(lines).encode(), method="PUT")
        try:
            urlopen(request, timeout=timeout).close()
        except HTTPError as error:
            if error.code in (429, 502, 503, 504):
                raise Unavailable(str(error)) from error
            raise
        except URLError as error:
            raise Unavailable(str(error.reason)) from error


@hookimpl
def new(meta: Meta) -> HttpSink:
    """Make the sink of one configured pump from its settings."""
    return meta.into(HttpSink)

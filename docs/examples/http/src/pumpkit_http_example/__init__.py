"""A pumpkit sink that PUTs records to a URL: one JSON object a line, the record's id as `_id`."""

import json
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import attrs

from pumpkit import Meta, PartialWrite, Records, Unavailable, hookimpl, key


@attrs.define(eq=False)
class HttpSink:
    """Writes to `url`, which is to keep one object per `_id`, so that a record sent twice is stored once."""

    url: str = key(about="Where to PUT records to.")

    @hookimpl
    def write_data(self, records: Records, ids: list[str], timeout: float | None) -> None:
        """Send a batch. What JSON cannot hold is rejected; when the server only asks for time, say so."""
        lines: list[str] = []
        rejected: dict[int, str] = {}
        for index, (record, id_) in enumerate(zip(records, ids, strict=True)):
            try:
                lines.append(json.dumps({**record, "_id": id_}, default=str))
            except TypeError as error:
                rejected[index] = str(error)
        request = Request(self.url, "\n".join(lines).encode(), method="PUT")
        try:
            urlopen(request, timeout=timeout).close()
        except HTTPError as error:
            if error.code in (429, 502, 503, 504):
                raise Unavailable(str(error)) from error
            raise
        except URLError as error:
            raise Unavailable(str(error.reason)) from error
        if rejected:
            raise PartialWrite(rejected)


@hookimpl
def new(meta: Meta) -> HttpSink:
    """Make the sink of one configured pump from its settings."""
    return meta.into(HttpSink)

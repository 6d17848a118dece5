"""The CSV sink of pumpkit, type `csv`: every record in a file exactly once, in order, on a local file system."""

from pumpkit import Meta, hookimpl
from pumpkit_csv.sink import CsvSink

__all__ = ["CsvSink", "new"]


@hookimpl
def new(meta: Meta) -> CsvSink:
    """Return the sink for one pump."""
    return meta.into(CsvSink)

"""t-file: accepts everything."""

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@hookimpl
def new(meta: Meta) -> FileSink:
    """Make the sink."""
    return meta.into(FileSink)

"""t-new-raises: cannot even be made."""

from pumpkit import Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@hookimpl
def new(meta: Meta) -> FileSink:
    """Raise."""
    raise RuntimeError("not today")

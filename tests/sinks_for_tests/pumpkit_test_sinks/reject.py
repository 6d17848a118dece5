"""t-reject: accepts all but the provoking records."""

import attrs

from pumpkit import Meta, PartialWrite, Records, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class RejectSink(FileSink):
    """Says record by record what it refuses."""

    @hookimpl
    def write_data(self, records: Records, ids: list[str], late: bool) -> None:
        """Write what is good."""
        rejected = {i: "not to my taste" for i, record in enumerate(records) if self.provokes(record)}
        if rejected and not self.armed():
            rejected = {}
        good = [i for i in range(len(records)) if i not in rejected]
        if good:
            self.accept([records[i] for i in good], [ids[i] for i in good], late)
        if rejected:
            raise PartialWrite(rejected)


@hookimpl
def new(meta: Meta) -> RejectSink:
    """Make the sink."""
    return meta.into(RejectSink)

"""The MongoDB sink of pumpkit, type `mongo`: every record once under its id, whatever is sent again."""

from pumpkit import Meta, hookimpl
from pumpkit_mongo.sink import MongoSink

__all__ = ["MongoSink", "new"]


@hookimpl
def new(meta: Meta) -> MongoSink:
    """Return the sink for one pump."""
    return meta.into(MongoSink)

"""A sink for pumpkit, type `sqlite-example`: keeps records in a table of a SQLite file, each once."""

from pumpkit import Meta, hookimpl

from pumpkit_sqlite_example.sink import SqliteExampleSink

__all__ = ["SqliteExampleSink", "new"]


@hookimpl
def new(meta: Meta) -> SqliteExampleSink:
    """Make the sink of one configured pump from its settings."""
    return meta.into(SqliteExampleSink)

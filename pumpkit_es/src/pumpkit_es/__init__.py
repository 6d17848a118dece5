"""The Elasticsearch sink of pumpkit, type `elasticsearch`: every record once under its id."""

from pumpkit import Meta, hookimpl
from pumpkit_es.sink import ElasticsearchSink

__all__ = ["ElasticsearchSink", "new"]


@hookimpl
def new(meta: Meta) -> ElasticsearchSink:
    """Return the sink for one pump."""
    return meta.into(ElasticsearchSink)

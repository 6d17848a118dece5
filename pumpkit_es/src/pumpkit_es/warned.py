"""Warnings that Elasticsearch sends beside its answers: each is logged once."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

from elasticsearch import ElasticsearchWarning

log = logging.getLogger(__name__)

#: Texts that were logged, as many as a person would read.
_told: set[str] = set()
_MOST = 100


@contextlib.contextmanager
def log_warnings() -> Iterator[None]:
    """Log what the client would otherwise print to stderr, or raise where warnings are errors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ElasticsearchWarning)
        yield
    for warning in caught:
        text = str(warning.message)
        if text not in _told and len(_told) < _MOST:
            _told.add(text)
            log.warning("Elasticsearch warns: %s", text)

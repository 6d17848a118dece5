"""Importing it starts a thread that warms something up."""

import codecs
import threading

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has help from the beginning."""


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)


threading.Thread(target=codecs.lookup, args=("idna",)).start()

"""t-secret: has a setting that is a secret, by its type and not by its name."""

import attrs

from pumpkit import Meta, Secret, hookimpl, key
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class SecretSink(FileSink):
    """Writes as t-file does."""

    pin: Secret = key(Secret(""), about="The secret.")
    word: str = key("", about="No secret.")


@hookimpl
def new(meta: Meta) -> SecretSink:
    """Make the sink."""
    return meta.into(SecretSink)

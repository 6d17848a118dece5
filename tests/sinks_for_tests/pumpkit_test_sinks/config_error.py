"""t-config-error: cannot work as configured."""

import attrs

from pumpkit import ConfigError, Meta, hookimpl
from pumpkit_test_sinks.base import FileSink


@attrs.define(eq=False)
class ConfigErrorSink(FileSink):
    """Raises ConfigError, at `init` unless configured otherwise."""

    where: str = "init"

    def misbehave(self) -> None:
        """Ask for a person."""
        raise ConfigError("the password is wrong")


@hookimpl
def new(meta: Meta) -> ConfigErrorSink:
    """Make the sink."""
    return meta.into(ConfigErrorSink)

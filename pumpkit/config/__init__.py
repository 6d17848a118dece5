"""Reading pumpkit.yaml: strictly, with every problem named by file, line and key path."""

from pumpkit.config.describe import Setting, describe
from pumpkit.config.keys import key
from pumpkit.config.meta import Meta
from pumpkit.config.model import BufferConfig, Config, Filters, LogConfig, PumpConfig
from pumpkit.config.problems import ConfigInvalid, Problem, Where
from pumpkit.config.types import ByteSize, Seconds, Secret

__all__ = [
    "BufferConfig",
    "ByteSize",
    "Config",
    "ConfigInvalid",
    "Filters",
    "LogConfig",
    "Meta",
    "Problem",
    "PumpConfig",
    "Seconds",
    "Secret",
    "Setting",
    "Where",
    "describe",
    "key",
]

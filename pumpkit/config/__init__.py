"""Reading pumpkit.yaml: strictly, with every problem named by file, line and key path."""

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
    "Problem",
    "PumpConfig",
    "Seconds",
    "Secret",
    "Where",
]

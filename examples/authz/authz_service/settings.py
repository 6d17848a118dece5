"""The settings of the service, under the names that the original's server has for them."""

import re
import warnings
from pathlib import Path
from typing import Any

import attrs
from attrs.validators import and_, ge, le
from pumpkit import Reporter, key

from authz_service.files import read

#: As Go writes durations: 24h0m0s.
_DURATION = re.compile(r"0|(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")


def _duration(_: Any, __: Any, value: str | None) -> None:
    if value is not None and not _DURATION.fullmatch(value):
        raise ValueError("must be a duration such as 24h or 24h0m0s")


def _port(_: Any, __: Any, value: int) -> None:
    if not 0 <= value <= 65535:
        raise ValueError("must be a port, 0 to 65535")


def _buffer(_: Any, __: Any, value: str | None) -> None:
    if value is not None:
        Reporter(value)  # it begins nothing before its first record; ValueError says why it cannot use the buffer


@attrs.frozen
class Insecure:
    """Where the service listens, without TLS."""

    bind_address: str = key("127.0.0.1", about="The address to listen on.")
    bind_port: int = key(9090, validator=_port, about="The port to listen on.")


@attrs.frozen
class Analytics:
    """What is recorded of decisions, and how."""

    enable: bool = key(True, about="Whether decisions are recorded.")
    pool_size: int = key(1, validator=ge(1), about="Workers that send records. One is enough; more are ignored.")
    records_buffer_size: int = key(10_000, validator=ge(1), about="Records that may wait in memory.")
    flush_interval: int = key(
        200, validator=and_(ge(1), le(1_000)), about="Milliseconds after which waiting records are sent."
    )
    enable_detailed_recording: bool = key(True, about="Whether records have policies and deciders.")
    storage_expiration_time: str | None = key(
        None, validator=_duration, about="No effect: the log keeps records until every pump has delivered them."
    )

    def reporter(self, buffer: str | None) -> Reporter:
        """Return the reporter that these settings ask for. It warns of those that have no effect."""
        if self.storage_expiration_time is not None:
            warnings.warn(
                "analytics.storage-expiration-time has no effect: the log keeps records until every pump has them",
                stacklevel=2,
            )
        return Reporter(
            buffer,
            source="authz",
            enabled=self.enable,
            pool_size=self.pool_size,
            records_buffer_size=self.records_buffer_size,
            flush_interval=self.flush_interval / 1_000,
        )


@attrs.frozen
class Settings:
    """The whole of authz.yaml."""

    policies: Path = key(about="The file of policies, relative to this one.")
    insecure: Insecure = key(factory=Insecure, about="Where the service listens.")
    analytics: Analytics = key(factory=Analytics, about="What is recorded of decisions, and how.")
    buffer: str | None = key(
        None, validator=_buffer, about="URL of the buffer for records; by default the embedded one."
    )


def load(file: Path) -> Settings:
    """Return the settings in a file. Raises pumpkit.ConfigError with everything that is wrong, by line and key."""
    return read(file).into(Settings)

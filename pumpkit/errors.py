"""One tree of errors; each class tells whoever catches it what to do next.

Sinks raise `Unavailable`, `PartialWrite` and `ConfigError`; anything else a sink raises is an unknown verdict.
"""

from collections.abc import Mapping, Sequence


class PumpkitError(Exception):
    """The base of every error that pumpkit raises on purpose."""


# What a sink says about a batch -----------------------------------------------------------------------------


class Unavailable(PumpkitError):
    """The destination cannot take records now and nothing is wrong with them: send the same batch again.

    `retry_after` is the number of seconds the destination asked for; None leaves the pause to the pump.
    """

    def __init__(self, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PartialWrite(PumpkitError):
    """Part of a batch was written.

    `rejected` maps an index of the list just given to the reason it will never be written; `retry` lists the
    indices worth sending again. Every index named in neither is written.
    """

    def __init__(self, rejected: Mapping[int, str] | None = None, retry: Sequence[int] = ()) -> None:
        self.rejected = dict(rejected or {})
        self.retry = list(retry)
        super().__init__(f"{len(self.rejected)} rejected, {len(self.retry)} to retry")


class ConfigError(PumpkitError):
    """It cannot work as configured (credentials, missing index, bad path): keep the data, wait for a person."""


class RefusesEverything(ConfigError):
    """The sink rejected `reject-limit` records in a row: more likely a wrong setting than that many bad records."""


# Frames -----------------------------------------------------------------------------------------------------


class BadFrame(PumpkitError):
    """Bytes that are not a frame, or whose contents do not match their header."""


class FrameTooNew(ConfigError):
    """A frame of a format version this pumpkit does not know: keep it and upgrade."""


class Unpackable(PumpkitError):
    """A record that cannot be put on the wire. `cause` is the drop cause: `unpackable` or `too-large`."""

    def __init__(self, reason: str, cause: str = "unpackable") -> None:
        super().__init__(reason)
        self.cause = cause


class BadItem(PumpkitError):
    """An item of a list that is no record of its dialect: it becomes a dead letter with its bytes."""


# Buffers ----------------------------------------------------------------------------------------------------


class BufferError(PumpkitError):
    """The base of what a buffer raises."""


class BufferUnavailable(BufferError):
    """The buffer cannot be reached or did not answer in time: try again later."""


class BufferMissing(BufferUnavailable):
    """There is no buffer at `location`, and nobody asked for one to be made."""

    def __init__(self, location: str) -> None:
        super().__init__(f"there is no buffer at {location}")
        self.location = location


class BufferFull(BufferUnavailable):
    """The buffer is at its size cap, or its disk is full: try again when something was trimmed."""


class BufferBusy(BufferUnavailable):
    """Somebody else holds the runner's or the pump's lock."""


class Unconfirmed(BufferUnavailable):
    """The buffer has the frames, but not yet as safely as `confirm` asks: repeat them, which stores nothing twice."""


class Fenced(BufferError):
    """Somebody else has taken over what this cursor had in hand: let go of it, and open the cursor anew."""


class BufferConfigError(BufferError, ConfigError):
    """The buffer cannot work as configured: bad URL, network file system, not a buffer file, newer format."""


class BufferReplaced(Fenced, BufferConfigError):
    """The buffer was made anew while a cursor had records of the old one in hand."""

"""It lets in one process at a time by a lock, and does not say that it is `ordered`."""

import fcntl
from pathlib import Path
from typing import TextIO

import attrs

from pumpkit import Meta, PumpConfig, Unavailable, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Is alone, or does not begin."""

    _lock: TextIO | None = attrs.field(default=None, init=False, repr=False)

    @hookimpl
    def init(self, config: PumpConfig) -> None:
        """Take the lock, then connect."""
        self._lock = open(Path(__file__).with_name("lock"), "w")  # noqa: SIM115  # until close
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            super().init(config)
        except BlockingIOError as error:
            self.close()
            raise Unavailable("another process is here") from error
        except BaseException:
            self.close()
            raise

    @hookimpl
    def close(self) -> None:
        """Give the lock back."""
        super().close()
        if self._lock is not None:
            self._lock.close()


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)

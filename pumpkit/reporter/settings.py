"""The settings of a reporter, checked."""

import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol, TypedDict, get_args

from pumpkit.errors import BufferConfigError
from pumpkit.frames import MAX_SOURCE
from pumpkit.reporter import buffer_url, sampling
from pumpkit.reporter import common as common_fields
from pumpkit.reporter.common import Common
from pumpkit.reporter.sampling import Sample
from pumpkit.values import MAX_RECORD

if TYPE_CHECKING:
    from pumpkit.buffers.base import Gap

#: The schemes that pumpkit itself serves. Others take a look at what is installed, which costs 30 ms.
SCHEMES = frozenset(
    [
        *("sqlite", "redis", "redis+cluster", "redis+sentinel", "redis+unix", "rediss", "unix"),
        *("redis-list", "redis-list+cluster", "redis-list+sentinel", "rediss-list"),
    ]
)

Overflow = Literal["drop-newest", "drop-oldest", "block", "spill"]

#: The same as in `pumpkit.buffers.base`, which an application does not load before it sends something.
Confirm = Literal["stored", "synced", "replicated"]


class Log(Protocol):
    """What a reporter needs of a buffer; see `pumpkit.buffers.base.Buffer`."""

    may_forget: ClassVar[bool]

    def append(
        self, frames: list[bytes], *, accept_gap: bool = False, timeout: float = 5.0, confirm: Confirm = "stored"
    ) -> "Gap | None":
        """Store frames of one producer; on return they are as safe as `confirm` asks."""

    def close(self) -> None:
        """Close connections."""


class Options(TypedDict, total=False):
    """The arguments of `Reporter`, as `configure` takes them."""

    buffer: str | Log | None
    source: str
    enabled: bool
    records_buffer_size: int
    buffer_bytes: int
    flush_interval: float
    pool_size: int
    overflow: Overflow
    block_timeout: float
    spill_folder: str | None
    spill_bytes: int
    omit_detailed: bool
    max_record_bytes: int
    exit_timeout: float
    copy: bool
    sample: float | Sample | None
    fields: Iterable[str] | None
    common: Common | None
    confirm: Confirm
    resend_window: float
    resend_bytes: int


class Settings(NamedTuple):
    """The arguments of `Reporter`, with their defaults; `checked` refuses wrong ones."""

    buffer: str | Log | None = None
    source: str = ""
    enabled: bool = True
    records_buffer_size: int = 10_000
    buffer_bytes: int = 64 << 20
    flush_interval: float = 0.2
    pool_size: int = 1
    overflow: Overflow = "drop-newest"
    block_timeout: float = 0.05
    spill_folder: str | None = None
    spill_bytes: int = 256 << 20
    omit_detailed: bool = False
    max_record_bytes: int = MAX_RECORD
    exit_timeout: float = 2.0
    copy: bool = False
    sample: float | Sample | None = None
    fields: Iterable[str] | None = None
    common: Common | None = None
    confirm: Confirm = "stored"
    resend_window: float = 10.0
    resend_bytes: int = 16 << 20

    def checked(self) -> "Settings":
        """Return the settings as they will be used. Raises ValueError naming the argument and what it may be."""
        for name in ("enabled", "omit_detailed", "copy"):
            _check(name, getattr(self, name), isinstance(getattr(self, name), bool), "True or False")
        for name in ("records_buffer_size", "buffer_bytes", "pool_size", "max_record_bytes", "spill_bytes"):
            _check(name, getattr(self, name), _is_int(getattr(self, name), 1), "a whole number, 1 or more")
        _check("resend_bytes", self.resend_bytes, _is_int(self.resend_bytes, 0), "a whole number, 0 or more")
        for name in ("flush_interval", "block_timeout", "exit_timeout", "resend_window"):
            _check(name, getattr(self, name), _is_seconds(getattr(self, name)), "seconds, 0 or more")
        good = self.buffer is None or (isinstance(self.buffer, str) and ":" in self.buffer) or _is_log(self.buffer)
        _check("buffer", self.buffer, good, "a URL such as 'sqlite:////var/lib/app/buffer.db', a Buffer, or None")
        if self.enabled and isinstance(self.buffer, str):
            _check_scheme(self.buffer)
        good = isinstance(self.source, str) and len(self.source) <= MAX_SOURCE and self.source.isprintable()
        _check("source", self.source, good, f"a name of up to {MAX_SOURCE} printable characters")
        _check("overflow", self.overflow, self.overflow in get_args(Overflow), f"one of {get_args(Overflow)}")
        _check("confirm", self.confirm, self.confirm in get_args(Confirm), f"one of {get_args(Confirm)}")
        good = self.common is None or isinstance(self.common, Mapping) or callable(self.common)
        _check("common", self.common, good, "a mapping with str keys, or a callable that returns one")
        _check("max_record_bytes", self.max_record_bytes, self.max_record_bytes <= MAX_RECORD, f"at most {MAX_RECORD}")
        folder = self.spill_folder
        _check("spill_folder", folder, folder is None or (isinstance(folder, str) and folder), "a path, or None")
        if self.overflow == "spill" and not (self.buffer is None or isinstance(self.buffer, str)):
            raise ValueError(
                "overflow='spill': the buffer must be a URL, not an open Buffer: the spill file is named after it"
            )
        if self.pool_size > 1:
            warnings.warn(
                f"pool_size={self.pool_size}: one thread sends for this process; more would share the same interpreter"
                " lock and one order of records, so they would not be faster. Leave pool_size out.",
                stacklevel=3,
            )
        return self._replace(
            buffer=buffer_url.absolute(self.buffer) if isinstance(self.buffer, str) else self.buffer,
            spill_folder=None if folder is None else str(Path(folder).absolute()),
            sample=None if self.sample is None else sampling.checked(self.sample),
            fields=None if self.fields is None else _names(self.fields),
            common=common_fields.checked(self.common) if isinstance(self.common, Mapping) else self.common,
        )


def _check(name: str, value: object, good: object, wanted: str) -> None:
    if not good:
        raise ValueError(f"{name}={value!r:.200}: it must be {wanted}")


def _check_scheme(url: str) -> None:
    """Refuse a URL that no installed buffer serves: what is found out in the background is only logged."""
    if url.partition(":")[0] in SCHEMES:
        return
    from pumpkit.buffers import registry

    try:
        registry.find(url)
    except BufferConfigError as error:
        raise ValueError(f"buffer: {error}") from None


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def _is_log(value: object) -> bool:
    methods = (getattr(value, name, None) for name in ("append", "close"))
    return all(map(callable, methods)) and hasattr(value, "may_forget")


def _names(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the names of fields that may leave the process."""
    good = not isinstance(fields, str) and isinstance(fields, Iterable)
    names = tuple(fields) if good else ()
    _check("fields", fields, names and all(isinstance(name, str) for name in names), "names of fields, or None for all")
    return names

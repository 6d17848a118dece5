"""The types of settings beyond Python's own, used in pumpkit.yaml and in a plugin's meta class."""

import re
from typing import NewType

#: A duration in seconds, written as `10`, `0.2`, `200ms`, `10s`, `5m` or `1h`.
Seconds = NewType("Seconds", float)

#: A size in bytes, written as `4096`, `64KiB`, `4MiB` or `1GiB` (`kB`, `MB` and `GB` are powers of 1,000).
ByteSize = NewType("ByteSize", int)

_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}

_SIZE = re.compile(r"([0-9]{1,19})(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?")
_BYTES = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}


class Secret:
    """Text that never shows: not in repr, logs, errors or status. `reveal()` gives it to the driver."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def parse_seconds(text: str) -> float:
    """Return the seconds of a duration as text. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not a duration: {text!r}")
    number, unit = match.groups("s")
    return float(number) * _SECONDS[unit] if unit != "ms" else float(number) / 1000


def format_seconds(seconds: float) -> str:
    """Return a duration in its largest whole unit."""
    for unit in ("h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:g}ms" if seconds else "0"


def parse_size(text: str) -> int:
    """Return the bytes of a size as text. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    number, unit = match.groups("B")
    return int(number) * _BYTES[unit]


def format_size(size: int) -> str:
    """Return a size in its largest whole binary unit."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port`, where an IPv6 address stands in brackets. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be host:port with a port up to 65535, such as 127.0.0.1:7070 or [::1]:7070")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not re.fullmatch(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%\w+)?", host):
            raise ValueError("has no IPv6 address in its brackets; write it as in [::1]:7070")
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:7070")
    elif not host:
        raise ValueError("has no host; 127.0.0.1 serves this machine only, 0.0.0.0 every network it is in")
    elif not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?", host):
        raise ValueError(f"{host!r} is no host name or address")
    return host, int(port)

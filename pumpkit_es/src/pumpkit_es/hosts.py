"""The addresses of a cluster, as a file gives them."""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Host:
    """One address: a URL without credentials, and those that stood in it."""

    url: str
    username: str = ""
    password: str = attrs.field(default="", repr=False)

    @property
    def is_tls(self) -> bool:
        """Whether it is to be spoken to over TLS."""
        return self.url.startswith("https:")


def parse(hosts: str | Sequence[str]) -> list[Host]:
    """Return addresses given as a list, or as one text with commas between. Raises ValueError, without credentials."""
    urls = hosts.split(",") if isinstance(hosts, str) else hosts
    found = list(dict.fromkeys(_parse(url.strip()) for url in urls))
    if not found:
        raise ValueError("names no host; write [http://localhost:9200]")
    if len({(host.username, host.password) for host in found}) > 1:
        raise ValueError("has other credentials in one URL than in another; use `username` and `password`")
    return found


def _parse(url: str) -> Host:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"has a URL that cannot be read ({_without_credentials(str(error))})") from None
    shown = _without_credentials(url)
    if parts.scheme not in _PORTS or "://" not in url:
        raise ValueError(f"{shown!r} must begin with http:// or https://, as in http://localhost:9200")
    if not parts.hostname or not re.fullmatch(r"[\w.-]+|[0-9A-Fa-f:.]+", parts.hostname):
        raise ValueError(f"{shown!r} names no host; it must look like http://localhost:9200")
    if parts.query or parts.fragment:
        raise ValueError(f"{shown!r} must end with the host, its port, or a path")
    return Host(_url(parts, port), unquote(parts.username or ""), unquote(parts.password or ""))


def _url(parts: SplitResult, port: int | None) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"


def _without_credentials(text: str) -> str:
    return re.sub(r"(?<=//).*@|^[^/]*@", "***@", text)

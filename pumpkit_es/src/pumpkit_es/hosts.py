"""The addresses of a cluster, as a file gives them."""

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

_PORTS = {"http": 80, "https": 443}

_ENCODE = "user and password may have to be percent-encoded (%2F for a slash)"


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
    # A comma in a password cuts it, so that neither part is known by its look.
    is_cut = isinstance(hosts, str) and len(urls) > 1 and "@" in hosts
    found = list(dict.fromkeys(_parse(url.strip(), is_cut) for url in urls))
    if not found:
        raise ValueError("names no host; write [http://localhost:9200]")
    if len({(host.username, host.password) for host in found}) > 1:
        raise ValueError("has other credentials in one URL than in another; use `username` and `password`")
    return found


def _parse(url: str, is_cut: bool) -> Host:
    shown = "one of its URLs" if is_cut else repr(_without_credentials(url))
    hint = f"; {_ENCODE}" if is_cut or "@" in url else ""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text shows what is taken for the port, which may be a part of the password
        raise ValueError(f"has a URL that cannot be read, {shown}: is its port a number up to 65535?{hint}") from None
    if parts.scheme not in _PORTS or "://" not in url:
        raise ValueError(f"{shown} must begin with http:// or https://, as in http://localhost:9200{hint}")
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(f"{shown} has an @ behind the host{hint}")
    if not parts.hostname or not re.fullmatch(r"[\w.-]+|[0-9A-Fa-f:.]+", parts.hostname):
        raise ValueError(f"{shown} names no host; it must look like http://localhost:9200{hint}")
    if parts.query or parts.fragment:
        raise ValueError(f"{shown} must end with the host, its port, or a path{hint}")
    return Host(_url(parts, port), unquote(parts.username or ""), unquote(parts.password or ""))


def _url(parts: SplitResult, port: int | None) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}{parts.path.rstrip('/')}"


def _without_credentials(text: str) -> str:
    return re.sub(r"^([a-z]+://)?.*@", r"\1***@", text, flags=re.S)

"""The URL of a buffer in Redis or Valkey. Nothing here connects, and no message shows a password.

    redis://[USER:PASSWORD@]HOST[:PORT][/DB]                    one server; rediss:// over TLS
    redis+sentinel://[USER:PASSWORD@]HOST[:PORT],.../MASTER[/DB]  the sentinels that know where MASTER is now
    redis+cluster://[USER:PASSWORD@]HOST[:PORT],...              some nodes of a cluster
    redis+unix://[USER:PASSWORD@]/PATH[?db=N]                    a socket on this machine; also unix://

User and password are percent-encoded (`@` is `%40`). What follows a `?` are options, joined by `&`: see `OPTIONS`.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from pumpkit.errors import BufferConfigError

Mode = Literal["single", "sentinel", "cluster", "unix"]

#: Every scheme with its mode.
SCHEMES: dict[str, Mode] = {
    "redis": "single",
    "rediss": "single",
    "redis+sentinel": "sentinel",
    "redis+cluster": "cluster",
    "redis+unix": "unix",
    "unix": "unix",
}

#: Every option, with what it says.
OPTIONS = {
    "name": "the name of the buffer, one Redis can hold several; pumpkit by default",
    "shards": "the number of streams of a new buffer, 1 to 64",
    "replicas": "how many replicas must have a frame that is confirmed as replicated; 1 by default",
    "db": "the number of the database, for a socket on this machine; elsewhere it follows the host",
    "tls": "true: connect over TLS, for sentinels and clusters; one server is rediss://",
    "ca-file": "the certificates to trust, as PEM; those of the system by default",
    "cert-file": "the certificate to show to the server, as PEM",
    "key-file": "its private key, as PEM, if it is not in cert-file",
    "verify-host": "false: take any certificate that is trusted, whatever host it is for",
    "verify-cert": "false: take any certificate at all; whoever stands between can read and change everything",
    "password-file": "a file with the password",
    "password-env": "an environment variable with the password",
    "sentinel-username": "the user for the sentinels, which have passwords of their own",
    "sentinel-password": "the password for the sentinels",
    "sentinel-password-file": "a file with it",
    "sentinel-password-env": "an environment variable with it",
    "client-name": "what CLIENT LIST calls these connections",
    "connect-timeout": "the longest that connecting may take, in seconds; 2 by default",
}

#: Options that name files.
_FILES = ("ca-file", "cert-file", "key-file", "password-file", "sentinel-password-file")

MAX_SHARDS = 64

_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

#: What stands where `url` is wrong about its secrets: the whole of it cannot be shown then.
_ENCODE = "percent-encode `@` as %40, `/` as %2F, `?` as %3F, `#` as %23 and `:` as %3A in user and password"


class Login(NamedTuple):
    """Who to log in as, and where the password is; `read` gets it."""

    username: str | None = None
    password: str | None = None
    file: str | None = None
    env: str | None = None

    def read(self) -> tuple[str | None, str | None]:
        """Return user and password as they are now. Raises BufferConfigError if it is not where it should be."""
        password = self.password
        if self.env is not None:
            password = os.environ.get(self.env)
            if not password:
                raise BufferConfigError(f"the environment variable {self.env}, named for the password, is not set")
        elif self.file is not None:
            try:
                password = Path(self.file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                raise BufferConfigError(f"{self.file}, named for the password, cannot be read: {reason}") from None
            if not password:
                raise BufferConfigError(f"{self.file}, named for the password, is empty")
        return self.username, password

    def __repr__(self) -> str:
        return "Login(...)"


class Place(NamedTuple):
    """Where a buffer is and how to get there. Its repr holds no password; `shown` is for people."""

    mode: Mode
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    db: int = 0
    name: str = "pumpkit"
    shards: int | None = None
    replicas: int = 1
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify_host: bool = True
    verify_cert: bool = True
    login: Login = Login()
    sentinel_login: Login = Login()
    client_name: str | None = None
    connect_timeout: float = 2.0

    @property
    def shown(self) -> str:
        """The location as it may be logged, without secrets."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        where = {
            "single": f"{'rediss' if self.tls else 'redis'}://{hosts}/{self.db}",
            "sentinel": f"redis+sentinel://{hosts}/{quote(self.master)}/{self.db}",
            "cluster": f"redis+cluster://{hosts}",
            "unix": f"redis+unix://{self.path}" + (f"?db={self.db}" if self.db else ""),
        }[self.mode]
        return f"{where}{'&' if '?' in where else '?'}name={quote(self.name, safe=':')}"


def parse(url: str) -> Place:
    """Take a URL apart. Raises BufferConfigError, whose text shows neither user nor password."""
    scheme, colon, rest = url.partition("://")
    if scheme not in SCHEMES or not colon:
        raise BufferConfigError(
            f"not the URL of a Redis: it begins with none of {', '.join(f'{s}://' for s in SCHEMES)}"
        )
    mode = SCHEMES[scheme]
    if "#" in rest:
        raise BufferConfigError(f"{scheme}: `#` means nothing here; {_ENCODE}")
    if re.search(r"[\s\x00-\x1f\x7f]", rest):
        raise BufferConfigError(f"{scheme}: a URL holds no spaces and no control characters; percent-encode them")
    location, _, query = rest.partition("?")
    if "@" in query and "@" not in location:
        raise BufferConfigError(f"{scheme}: a `?` stands before the `@`; {_ENCODE}")
    login, hosts, path = _location(scheme, location)
    options = _options(scheme, query)
    place = _place(scheme, mode, hosts, path)
    return _with_options(scheme, place, login, options)


def anchored(url: str, folder: Path) -> str:
    """Return a URL whose options name files absolutely: relative ones start at `folder`."""
    location, mark, query = url.partition("?")
    pairs = []
    for pair in query.split("&") if mark else []:
        name, _, value = pair.partition("=")
        if name in _FILES and value and not unquote(value).startswith("/"):
            pair = f"{name}={quote(str(folder.absolute() / unquote(value)))}"
        pairs.append(pair)
    return location + mark + "&".join(pairs)


def with_shards(url: str, shards: int) -> str:
    """Return a URL that says how many shards there are. Raises BufferConfigError if it says another number."""
    said = parse(url).shards
    if said is None:
        return f"{url}{'&' if '?' in url else '?'}shards={shards}"
    if said != shards:
        raise BufferConfigError(f"the URL says shards={said}, and shards says {shards}; write it once")
    return url


def _location(scheme: str, location: str) -> tuple[Login, str, str]:
    """Return who to log in as, the hosts and the path, in `USER:PASSWORD@HOSTS/PATH`."""
    at = location.rfind("@")
    credentials, rest = (location[:at], location[at + 1 :]) if at >= 0 else ("", location)
    if SCHEMES[scheme] == "unix" and location.startswith("/"):  # a path may have an @
        credentials, rest = "", location
    if "/" in credentials or "@" in credentials:
        raise BufferConfigError(f"{scheme}: more than one `@`, or a `/` before it; {_ENCODE}")
    username, colon, password = credentials.partition(":")
    if ":" in password:
        raise BufferConfigError(f"{scheme}: more than one `:` before the `@`; {_ENCODE}")
    hosts, slash, path = rest.partition("/")
    # An empty password after a user and a colon is one: there are users who need none.
    nothing = "" if username and colon else None
    login = Login(_decoded(scheme, username) or None, _decoded(scheme, password) or nothing)
    return login, hosts, slash + path


def _decoded(scheme: str, text: str) -> str:
    """Return percent-encoded text, decoded. The error does not show it: it may be a password."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise BufferConfigError(f"{scheme}: a `%` that is not followed by two hex digits; write %25 for a percent sign")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BufferConfigError(f"{scheme}: percent-encoded bytes that are not UTF-8") from None


def _options(scheme: str, query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        name = name.replace("_", "-")
        if name == "password":
            raise BufferConfigError(f"{scheme}: write the password before the host, or name it by password-file")
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(OPTIONS)}"
            raise BufferConfigError(f"{scheme}: unknown option {name!r}{hint}")
        if name in options:
            raise BufferConfigError(f"{scheme}: the option {name} is given twice")
        if not value:
            raise BufferConfigError(f"{scheme}: the option {name} has no value: {OPTIONS[name]}")
        text = _decoded(scheme, value)
        options[name] = str(Path(text).absolute()) if name in _FILES else text  # processes may run in other folders
    return options


def _place(scheme: str, mode: Mode, hosts: str, path: str) -> Place:
    """Return the place without what its options say."""
    if mode == "unix":
        if hosts:
            raise BufferConfigError(f"{scheme}: write {scheme}:///PATH, with three slashes, for the socket at /PATH")
        socket = _decoded(scheme, path)
        if not socket.strip("/") or socket.endswith("/") or "\0" in socket:
            raise BufferConfigError(f"{scheme}: it names no socket; write {scheme}:///PATH")
        return Place(mode, path=socket)
    parts = [part for part in path.split("/")[1:] if part]
    addresses = _hosts(scheme, hosts, 26379 if mode == "sentinel" else 6379)
    if mode == "single" and len(addresses) > 1:
        raise BufferConfigError(f"{scheme}: several hosts; write redis+sentinel:// or redis+cluster://")
    master = ""
    if mode == "sentinel":
        if not parts:
            raise BufferConfigError(f"{scheme}: no master is named; write {scheme}://HOST:PORT,HOST:PORT/MASTER")
        master = _decoded(scheme, parts.pop(0))
    if len(parts) > 1 or (parts and not re.fullmatch(r"[0-9]{1,5}", parts[0])):
        raise BufferConfigError(f"{scheme}: only the number of a database may follow, as in /0")
    db = int(parts[0]) if parts else 0
    if mode == "cluster" and db:
        raise BufferConfigError(f"{scheme}: a cluster has no database {db}, only 0; set `name` to keep buffers apart")
    return Place(mode, hosts=addresses, master=master, db=db)


def _hosts(scheme: str, hosts: str, default_port: int) -> tuple[tuple[str, int], ...]:
    found = []
    for host in hosts.split(","):
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:/@]+))(?::([0-9]{1,5}))?", host)
        if match is None:
            said = "no host is named" if not host else "that is no HOST:PORT, with an IPv6 address in brackets"
            raise BufferConfigError(f"{scheme}: {said}; write {scheme}://HOST:PORT")
        port = int(match[3] or default_port)
        if not 0 < port < 65_536:
            raise BufferConfigError(f"{scheme}: {port} is no port, they go from 1 to 65535")
        found.append((match[1] or _decoded(scheme, match[2]), port))
    return tuple(found)


def _with_options(scheme: str, place: Place, login: Login, options: dict[str, str]) -> Place:
    def number(name: str, low: int, high: int, default: int) -> int:
        text = options.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise BufferConfigError(f"{scheme}: {name} must be from {low} to {high}, not {text!r}")
        return int(text)

    def boolean(name: str, default: bool) -> bool:
        text = options.get(name, str(default))
        if text.lower() not in _BOOLEANS:
            raise BufferConfigError(f"{scheme}: {name} must be true or false, not {text!r}")
        return _BOOLEANS[text.lower()]

    _only(scheme, place.mode, options)
    tls = scheme == "rediss" or boolean("tls", False)
    for name in ("ca-file", "cert-file", "key-file", "verify-host", "verify-cert"):
        if name in options and not tls:
            how = "write rediss://" if place.mode == "single" else "add tls=true"
            raise BufferConfigError(f"{scheme}: {name} is for TLS; {how}")
    if "key-file" in options and "cert-file" not in options:
        raise BufferConfigError(f"{scheme}: key-file needs cert-file, the certificate that the key is for")
    user = options.get("sentinel-username")
    return place._replace(
        db=number("db", 0, 99_999, place.db),
        name=_name(scheme, options.get("name", "pumpkit")),
        shards=number("shards", 1, MAX_SHARDS, 1) if "shards" in options else None,
        replicas=number("replicas", 1, 100, 1),
        tls=tls,
        ca_file=options.get("ca-file"),
        cert_file=options.get("cert-file"),
        key_file=options.get("key-file"),
        verify_host=boolean("verify-host", True),
        verify_cert=boolean("verify-cert", True),
        login=_login(scheme, "", login, options),
        sentinel_login=_login(scheme, "sentinel-", Login(user, options.get("sentinel-password")), options),
        client_name=_client_name(scheme, options.get("client-name")),
        connect_timeout=_seconds(scheme, options.get("connect-timeout", "2")),
    )


def _only(scheme: str, mode: Mode, options: dict[str, str]) -> None:
    """Refuse options that mean nothing in this mode."""
    useless: list[tuple[str, str]] = []
    if mode != "unix":
        useless.append(("db", "write the number of the database after the host, as in /1"))
    if mode == "single":
        useless.append(("tls", "write rediss:// for TLS"))
    if mode == "unix":
        useless.append(("tls", "a socket on this machine needs no TLS"))
    if mode != "sentinel":
        useless.append(("sentinel-", "only sentinels have it"))
    for name in options:
        for start, why in useless:
            if name.startswith(start):
                raise BufferConfigError(f"{scheme}: the option {name} is not for {scheme}:// URLs; {why}")


def _login(scheme: str, prefix: str, login: Login, options: dict[str, str]) -> Login:
    login = login._replace(file=options.get(f"{prefix}password-file"), env=options.get(f"{prefix}password-env"))
    sources = [source for source in (login.password, login.file, login.env) if source is not None]
    if len(sources) > 1:
        raise BufferConfigError(f"{scheme}: the {prefix}password is given more than once; keep one of them")
    if login.username and not sources:
        raise BufferConfigError(f"{scheme}: a user without a password; write USER:PASSWORD@, or add password-file")
    return login


def _name(scheme: str, name: str) -> str:
    """Return the name of a buffer. It becomes the hash tag of every key, so it has no braces."""
    if not name.isprintable() or re.search(r"[{}\s]", name) or len(name.encode()) > 200:
        raise BufferConfigError(f"{scheme}: name must be up to 200 bytes without spaces and braces, not {name!r}")
    return name


def _client_name(scheme: str, name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"[!-~]{1,100}", name):
        raise BufferConfigError(
            f"{scheme}: client-name must be up to 100 ASCII characters without spaces, not {name!r}"
        )
    return name


def _seconds(scheme: str, text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s)?", text)
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0
    if not 0.001 <= seconds <= 3_600:
        raise BufferConfigError(f"{scheme}: connect-timeout must be a number of seconds such as 2 or 0.5, not {text!r}")
    return seconds

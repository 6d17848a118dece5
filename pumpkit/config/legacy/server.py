"""The Redis of an original as URLs: of the list that it drains, and of the buffer beside it."""

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import attrs

from pumpkit.config import scalars
from pumpkit.config.interpolate import Filled
from pumpkit.config.legacy.translation import Item, OldKey, Translation, count, port, text, texts

_POOL = "is not needed, for every process has a few connections at most; it may go"

#: The keys that both originals have, with the spelling of iam-pump.
KEYS = [
    OldKey("host", "the host in the URLs of `inputs` and `buffer`", text),
    OldKey("port", "the port in both URLs", port),
    OldKey("addrs", "the hosts in both URLs: of sentinels, of a cluster, else the first one", texts),
    OldKey("username", "the user in both URLs", text),
    OldKey("password", "the password in both URLs, percent-encoded; `${NAME}` becomes `password-env=NAME`", text),
    OldKey("database", "the number of the database in both URLs", count),
    OldKey("master-name", "`redis+sentinel://` with this master in both URLs", text),
    OldKey("optimisation-max-idle", "not needed", count, idle=(0,), note=_POOL),
    OldKey("optimisation-max-active", "not needed", count, idle=(0,), note=_POOL),
    OldKey("timeout", "`connect-timeout` in both URLs, in seconds", count),
    OldKey("enable-cluster", "`redis+cluster://` in both URLs", scalars.boolean),
    OldKey("use-ssl", "`rediss://`, or `tls=true` for sentinels and clusters", scalars.boolean),
    OldKey("ssl-insecure-skip-verify", "`verify-cert=false` in both URLs", scalars.boolean),
]

Mode = Literal["single", "sentinel", "cluster"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_LONGEST = 3600  # seconds of a connect-timeout


@attrs.frozen
class Part:
    """Part of a URL, with what was filled in and as the file has it."""

    text: str = ""
    source: str = ""

    def __add__(self, other: "Part | str") -> "Part":
        """Return both, one after the other; a str is part of a URL's syntax."""
        if isinstance(other, str):
            other = Part(other, other)
        return Part(self.text + other.text, self.source + other.source)

    def whole(self) -> str:
        """Return the text, which knows its source if something in it was filled in."""
        return self.text if self.text == self.source else Filled(self.text, self.source)


def _quoted(value: Any, safe: str = "") -> Part:
    """Return a value percent-encoded. Where that changes it, what was filled in cannot be named any more."""
    found = quote(str(value), safe)
    return Part(found, value.source if isinstance(value, Filled) and found == value else found)


def put(translation: Translation, items: Mapping[str, Item], block: str, dialect: str, key: str) -> None:
    """Put the list `key` on the server of these items as an input, and a buffer beside it."""
    server = _Server(translation, items)
    location, options = server.location(), server.options()
    url = _joined(location, options)
    for name, value in {"type": "redis-list", "url": url, "key": key, "dialect": dialect}.items():
        translation.put(("inputs", dialect, name), value, block)
    # List and buffer share a hash tag, so that one script can move from one to the other, in a cluster too.
    tag = re.search(r"\{([^{}]+)\}", key)
    name_of_both = tag[1] if tag else key
    translation.put(("buffer",), _joined(location, [Part() + "name=" + _quoted(name_of_both), *options]), block)


def _joined(location: Part, options: list[Part]) -> str:
    for index, option in enumerate(options):
        location += Part() + ("&" if index else "?") + option
    return location.whole()


class _Server:
    """Where the items of a block say that Redis is."""

    def __init__(self, translation: Translation, items: Mapping[str, Item]) -> None:
        self.translation = translation
        self.items = items
        self.tls = self._says("use_ssl") or self._says("redis_use_ssl")
        self.mode: Mode = "single"
        if "master_name" in items:
            self.mode = "sentinel"
        elif self._says("enable_cluster"):
            self.mode = "cluster"

    def location(self) -> Part:
        """Return the URL up to its options."""
        scheme = "rediss" if self.tls else "redis"
        location = Part() + (f"{scheme}://" if self.mode == "single" else f"redis+{self.mode}://")
        location += self._login()
        for index, address in enumerate(self._addresses()):
            location += Part() + ("," if index else "") + address
        if self.mode == "sentinel":
            location += Part() + "/" + _quoted(self.items["master_name"].kept)
        return location + self._database()

    def options(self) -> list[Part]:
        """Return what follows the question mark of the URL."""
        options = []

        def add(name: str, value: Any) -> None:
            options.append(Part() + f"{name}=" + _quoted(value, "/"))

        if self.tls and self.mode != "single":
            add("tls", "true")
        if self.tls and (self._says("ssl_insecure_skip_verify") or self._says("redis_ssl_insecure_skip_verify")):
            add("verify-cert", "false")
        for name in ("ssl_ca_file", "ssl_cert_file", "ssl_key_file"):
            if self.tls and name in self.items:
                add(name.removeprefix("ssl_").replace("_", "-"), self.items[name].kept)
        if variable := self._variable("password"):
            add("password-env", variable)
        if self.mode == "sentinel" and "sentinel_password" in self.items:
            variable = self._variable("sentinel_password")
            add(
                "sentinel-password-env" if variable else "sentinel-password",
                variable or self.items["sentinel_password"].kept,
            )
        if seconds := self._says("timeout"):
            add("connect-timeout", min(seconds, _LONGEST))
        return options

    def _says(self, name: str) -> Any:
        return self.items[name].value if name in self.items else None

    def _variable(self, name: str) -> str | None:
        """Return the environment variable that a value is, if it is nothing else."""
        raw = self.items[name].kept if name in self.items else None
        found = _VARIABLE.fullmatch(raw.source) if isinstance(raw, Filled) else None
        return found[1] if found else None

    def _login(self) -> Part:
        login = Part()
        if "username" in self.items and "password" not in self.items:
            self.translation.refuse(self.items["username"].path, "needs a password; add it, or remove the user")
        elif "username" in self.items:
            login += _quoted(self.items["username"].kept)
        if "password" in self.items and not self._variable("password"):
            login += Part() + ":" + _quoted(self.items["password"].kept)
        return login + "@" if login.text else login

    def _addresses(self) -> list[Part]:
        found: list[Part]
        if addresses := self._says("addrs"):
            found = [_quoted(address, ":[]") for address in addresses]
        elif hosts := self._says("hosts"):
            found = [_quoted(host) + ":" + _quoted(number) for host, number in hosts.items()]
        else:
            found = [self._address()]
        if self.mode == "single" and len(found) > 1:
            item = self.items.get("addrs") or self.items["hosts"]
            self.translation.note(item.path, "names several servers that are no cluster; the first one is used")
            del found[1:]
        return found

    def _address(self) -> Part:
        host = self.items["host"].kept if "host" in self.items else "127.0.0.1"
        address = _quoted(host)
        if ":" in str(host):
            address = Part() + f"[{host}]"
        return address + ":" + _quoted(self.items["port"].kept) if self._says("port") else address

    def _database(self) -> Part:
        number = self.items.get("database")
        if number is None or not number.value:
            return Part()
        if self.mode == "cluster":
            self.translation.note(number.path, "is ignored, for a cluster has the database 0 only; it may go")
            return Part()
        return Part() + "/" + _quoted(number.kept)

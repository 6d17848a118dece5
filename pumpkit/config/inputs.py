"""The keys of `inputs`: lists that other programs fill, to be moved into the log."""

from typing import TYPE_CHECKING, Any, Literal

import attrs

from pumpkit.config import rules
from pumpkit.config.keys import key as setting
from pumpkit.config.keys import no_key

if TYPE_CHECKING:
    Attribute = attrs.Attribute[Any]


def _redis_url(owner: Any, attribute: "Attribute", value: str | None) -> None:
    """The URL of a Redis, or None."""
    if value is not None and not rules.is_redis(value):
        raise ValueError("must be the URL of a Redis, such as redis://HOST:6379/0, as for `buffer`")
    rules.buffer_url(owner, attribute, value)


def _list_key(owner: Any, attribute: "Attribute", value: str | None) -> None:
    if value is not None and not 0 < len(value.encode(errors="surrogatepass")) <= 512:
        raise ValueError("must be the name of a list, of 1 to 512 bytes")


def _only_tyk(owner: Any, attribute: "Attribute", value: bool | str | None) -> None:
    """What only Tyk has is not asked of another dialect."""
    if value not in (None, False, "msgpack") and owner.dialect != "tyk":
        raise ValueError(f"is for `dialect: tyk` only; {owner.dialect} has nothing of the kind, so remove it")


def _source(owner: Any, attribute: "Attribute", value: str | None) -> None:
    if value is not None and (not value.isprintable() or not 0 < len(value) <= 64):
        raise ValueError("must be 1 to 64 printable characters, such as authz")


@attrs.frozen
class InputConfig:
    """A list that Go programs fill, which the runner moves into the log."""

    name: str = no_key(str)
    type: Literal["redis-list"] = setting("redis-list", about="What it is: a list in Redis or Valkey.")
    dialect: Literal["iam", "tyk"] = setting(
        about="What is in it: records of iam-authz-server (`iam`) or of Tyk Gateway (`tyk`)."
    )
    url: str | None = setting(
        None,
        about="Where the list is, written as the URL of a buffer in Redis. Default: where the buffer is.",
        validator=_redis_url,
        repr=False,
    )
    key: str | None = setting(
        None,
        about="The name of the list. Default: analytics-iam-system-analytics or analytics-tyk-system-analytics.",
        validator=_list_key,
    )
    suffixes: bool | None = setting(
        None,
        about="Also drain the lists named `KEY_0` to `KEY_9`, and those of both with `_protobuf` after it, as Tyk Pump"
        " does. Default: true for `tyk`, which alone has them.",
        validator=_only_tyk,
    )
    encoding: Literal["msgpack", "protobuf"] | None = setting(
        None,
        about="How records are encoded; with `suffixes`, only lists of that encoding are drained. Default: msgpack, or"
        " both with `suffixes`.",
        validator=_only_tyk,
    )
    decode_raw: bool = setting(
        False,
        about="Take the base64 off raw_request and raw_response, which Tyk Gateway writes.",
        validator=_only_tyk,
    )
    batch: int = setting(
        500, about="The most records moved in one step, within about 1 MiB.", validator=rules.between(1, 2_000)
    )
    enabled: bool = setting(True, about="Whether the runner drains it.")
    required: bool = setting(True, about="Whether health depends on it.")
    source: str | None = setting(
        None,
        about="The service name of its records, which pumps select by `sources`. Default: the input's name.",
        validator=_source,
    )

    def lists(self) -> list[tuple[str, Literal["msgpack", "protobuf"]]]:
        """Return every list to drain with the encoding of its items."""
        from pumpkit.dialects import DEFAULT_KEYS, PROTOBUF_SUFFIX, SPREAD_SUFFIXES

        base = self.key or DEFAULT_KEYS[self.dialect]
        if not (self.dialect == "tyk" if self.suffixes is None else self.suffixes):
            return [(base, self.encoding or "msgpack")]
        found: list[tuple[str, Literal["msgpack", "protobuf"]]] = []
        for suffix in SPREAD_SUFFIXES:
            if self.encoding != "protobuf":
                found.append((base + suffix, "msgpack"))
            if self.encoding != "msgpack":
                found.append((base + suffix + PROTOBUF_SUFFIX, "protobuf"))
        return found

"""The settings of one pump, as `meta` has them."""

import re
from pathlib import Path
from typing import Literal

import attrs

from pumpkit import ByteSize, Secret, key
from pumpkit_es import hosts
from pumpkit_es.index_names import IndexNames


def _check_hosts(settings: "Settings", _: object, value: str | list[str]) -> None:
    found = hosts.parse(value)
    if not any(host.is_tls for host in found):
        for name in ("ca_file", "ca_fingerprint", "client_cert"):
            if getattr(settings, name):
                raise ValueError(f"has no https:// address, and `{name.replace('_', '-')}` is for TLS")


def _check_index(settings: "Settings", _: object, index: str) -> None:
    names = IndexNames(index, 1)
    if settings.template == "default" and names.pattern.startswith("*"):
        raise ValueError(
            f"{index!r} begins with a field, so the default template would be for every index of the cluster: "
            "begin it with letters, or set `template` to none or to a file"
        )


def _check_shards(settings: "Settings", _: object, shards: int | str | None) -> None:
    if isinstance(shards, int) and shards < 0:
        raise ValueError("must be 0 or more, or all")


def _check_login(settings: "Settings", _: object, api_key: Secret | None) -> None:
    if _given(api_key) and settings.username:
        raise ValueError("stands beside `username`; keep one of them")
    if api_key is not None and not re.fullmatch(r"[!-~]*", api_key.reveal()):
        raise ValueError("has a space, a line break or a letter that no key has; was it copied whole, and alone?")


def _check_fingerprint(settings: "Settings", _: object, fingerprint: str) -> None:
    if fingerprint and not re.fullmatch(r"([0-9A-Fa-f]{2}:?){32}", fingerprint):
        raise ValueError("must be the SHA-256 of the authority's certificate, 64 hex digits")


def _check_client_key(settings: "Settings", _: object, path: Path | None) -> None:
    if path and not settings.client_cert:
        raise ValueError("needs `client-cert` beside it")


def _given(secret: Secret | None) -> bool:
    return secret is not None and bool(secret.reveal())


@attrs.define(eq=False)
class Settings:
    """Where records go, how they are named, and how they get there."""

    hosts: str | list[str] = key(
        about="The addresses of one cluster, http:// or https://; as one text, with commas between. Where one does not "
        "answer, another is asked.",
        factory=lambda: ["http://localhost:9200"],
        validator=_check_hosts,
        repr=False,
        aliases=("elasticsearch_url",),
    )
    index: str = key(
        about="The index, alias or data stream. `{field}` in it is a field of the record, `{timestamp:%Y.%m.%d}` "
        "a date of the record's time in that field, in UTC. In a file of an original it is `index_name`; where that "
        "was left out, write the original's default, `tyk_analytics` (Tyk Pump) or `iam_analytics` (iam-pump).",
        validator=_check_index,
        aliases=("index_name",),
    )
    max_indexes: int = key(
        500,
        about="How many names of indices a day may bring, where `index` takes them of records; a record that needs one "
        "more is rejected.",
        validator=attrs.validators.ge(1),
    )
    data_stream: bool = key(
        False, about="`index` names data streams: documents get `@timestamp`, and the template makes streams."
    )
    time_field: str = key("timestamp", about="The field with the record's time, for `@timestamp` and `rolling-index`.")
    routing: str = key("", about="The field whose value routes a record to its shard. Default: the record id does.")
    pipeline: str = key("", about="The ingest pipeline that documents go through.")
    template: Literal["default", "none"] | Path = key(
        "default",
        about="The index template that is put in place at the start: `default` (see below), `none`, or a file of JSON "
        "with the body of one.",
    )
    wait_for_active_shards: int | Literal["all"] | None = key(
        None,
        about="How many copies of a shard must be there before it is written to. Default: what the index says.",
        validator=_check_shards,
    )
    max_bytes: ByteSize = key(
        ByteSize(8 << 20),
        about="The most bytes of one request, before compression; a batch becomes several where it is larger.",
        validator=attrs.validators.ge(1),
    )
    compress: bool = key(False, about="Send requests compressed with gzip: less network, more CPU.")
    sniff: bool = key(
        False,
        about="When a node does not answer, ask the others which nodes the cluster has, and go on with those.",
        aliases=("use_sniffing", "enable_sniffing"),
    )

    username: str = key("", about="The user, for basic authentication.", aliases=("auth_basic_username",))
    password: Secret | None = key(None, about="The user's password.", aliases=("auth_basic_password",))
    api_key: Secret | None = key(
        None,
        about="An API key in its encoded form; or the key alone, with `api-key-id`.",
        validator=_check_login,
        aliases=("auth_api_key",),
    )
    api_key_id: str = key("", about="The id of `api-key`, if that is not encoded.", aliases=("auth_api_key_id",))

    ca_file: Path | None = key(None, about="The certificates of authorities that are trusted, in PEM.")
    ca_fingerprint: str = key(
        "",
        about="The SHA-256 of the certificate of the authority, or of the server: it is trusted then, and no other.",
        validator=_check_fingerprint,
    )
    verify: bool = key(
        True, about="Check the certificate of the server; false leaves passwords open to whoever listens."
    )
    client_cert: Path | None = key(
        None, about="This side's certificate, in PEM, where the server asks for one.", aliases=("ssl_cert_file",)
    )
    client_key: Path | None = key(
        None, about="The key of `client-cert`.", validator=_check_client_key, aliases=("ssl_key_file",)
    )

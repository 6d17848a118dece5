"""The settings of one pump, as `meta` has them."""

import re
import warnings
from pathlib import Path
from typing import Any, Literal

import attrs
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from pumpkit import ByteSize, Seconds, Secret, key
from pumpkit_mongo.names import CollectionNames

_UNACKNOWLEDGED = "the server would give no answer, so that nothing would be known of a write"


def shown(url: str) -> str:
    """Return the hosts of a URL: what may be shown of it."""
    return re.sub(r"^([a-z+]*://)?(.*@)?([^/?@]*).*$", r"\3", url, flags=re.DOTALL)


def _check_url(settings: "Settings", _: object, url: Secret) -> None:
    text = url.reveal()
    plain = text
    if text.startswith("mongodb+srv://") and "srv" not in text.partition("?")[2]:
        plain = text.replace("+srv", "", 1)  # as one without names to be looked up, which is done when connecting
    elif text.startswith("mongodb+srv://"):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # the driver leaves out an option that it does not know
            warnings.simplefilter("ignore", DeprecationWarning)
            options = parse_uri(plain)["options"]
    except (PyMongoError, ValueError, UserWarning) as error:
        raise ValueError(f"is no URL of a MongoDB ({shown(text) or 'no host'}): {_plain(error, text)}") from None
    if options.get("w") == 0:
        raise ValueError(f"has w=0 in it: {_UNACKNOWLEDGED}")


def _plain(error: Exception, url: str) -> str:
    """Return what the driver says, unless that shows a part of the URL before its hosts."""
    secret = url.rpartition("@")[0].partition("://")[2]
    text = str(error).partition(" Hint:")[0]
    shows = any(part and part in text for part in re.split("[:@]", secret))
    return "user and password may have to be percent-encoded" if shows else text


def _check_collection(settings: "Settings", _: object, collection: str) -> None:
    if collection:
        CollectionNames(collection, 1)


def _check_database(settings: "Settings", _: object, database: str) -> None:
    if database and not re.fullmatch(r"[^/\\. \"$*<>:|?\0]{1,63}", database):
        raise ValueError(f"{database!r:.80} is no name of a database")


def _check_upsert(settings: "Settings", _: object, fields: list[str]) -> None:
    if settings.mode == "upsert" and not fields:
        raise ValueError("is missing: name the fields that make one document of records, or set `mode` to insert")
    if settings.mode == "insert" and fields:
        raise ValueError("is for `mode: upsert`")
    for field in fields:
        if not field or field == "_id" or "." in field or field.startswith("$"):
            raise ValueError(f"{field!r:.80} must be the name of a field at the top of records, without dot and dollar")
    if fields and settings.allow_duplicates:
        raise ValueError("stands beside `allow-duplicates`; time-series collections have no upserts")


def _check_write_concern(settings: "Settings", _: object, w: int | str | None) -> None:
    if w == 0:
        raise ValueError(f"0: {_UNACKNOWLEDGED}")


def _check_password(settings: "Settings", _: object, password: Secret | None) -> None:
    if password is not None and not settings.username and "@" not in settings.url.reveal():
        raise ValueError("needs `username` beside it, or a user in `url`")


def _check_keys(index: "Index", _: object, keys: object) -> None:
    if not keys:
        raise ValueError("is empty; name the fields of the index")


def _check_capped(settings: "Settings", _: object, capped: "Capped") -> None:
    if capped.max_records and not capped.max_bytes:
        raise ValueError("needs `max-bytes` beside `max-records`")
    if capped.max_bytes and settings.upsert_by:
        raise ValueError("stands beside `upsert-by`; the documents of a capped collection cannot grow")


@attrs.define(eq=False)
class Index:
    """One index that is made where it is missing."""

    keys: dict[str, Literal[1, -1, "hashed", "text", "2dsphere"]] | list[str] = key(
        about="The fields, in order: names, or names with 1, -1, hashed, text or 2dsphere.", validator=_check_keys
    )
    unique: bool = key(False, about="A record with values that another one has is rejected.")
    sparse: bool = key(False, about="Documents without the fields are not in it.")
    name: str = key("", about="Its name. Default: made of the fields.")

    def pairs(self) -> list[tuple[str, Any]]:
        """Return the fields and their kinds, as the driver wants them."""
        return [(field, 1) for field in self.keys] if isinstance(self.keys, list) else list(self.keys.items())


@attrs.define(eq=False)
class Capped:
    """A collection of bounded size, which forgets its oldest documents."""

    max_bytes: ByteSize = key(ByteSize(0), about="Its size. 0: it is not capped.", validator=attrs.validators.ge(0))
    max_records: int = key(0, about="The most documents in it. 0: as many as fit.", validator=attrs.validators.ge(0))


@attrs.define(eq=False)
class Settings:
    """Where records go, and what the collections are like."""

    url: Secret = key(
        about="Where the server is, `mongodb://` or `mongodb+srv://`, with the options of the driver.",
        validator=_check_url,
        aliases=("mongo_url",),
    )
    database: str = key("", about="The database. Default: that of the URL, else `pumpkit`.", validator=_check_database)
    collection: str = key(
        "",
        about="The collection. `{field}` in it is a field of the record, `{timestamp:%Y-%m}` a date of the record's "
        "time in that field, in UTC. Default: the pump's name.",
        validator=_check_collection,
        aliases=("collection_name",),
    )
    max_collections: int = key(
        100,
        about="How many collections a day may bring, where `collection` takes their names of records; a record that "
        "needs one more is rejected.",
        validator=attrs.validators.ge(1),
    )
    mode: Literal["insert", "upsert"] = key(
        "insert",
        about="`insert` keeps every record, under its id. `upsert` keeps the last of all that agree in `upsert-by`.",
    )
    upsert_by: list[str] = key(
        about="The fields that make one document of records, for `mode: upsert`; a unique index over them is made.",
        factory=list,
        validator=_check_upsert,
    )
    allow_duplicates: bool = key(
        False,
        about="Take time-series collections, which keep no unique id: a record that is sent again is there twice.",
    )
    indexes: list[Index] = key(about="Indexes that are made where they are missing.", factory=list)
    create_indexes: bool = key(True, about="Make `indexes`, and those that `upsert-by` and expiry need.")
    capped: Capped = key(
        about="Make collections capped; one that is there and is not is refused.",
        factory=Capped,
        validator=_check_capped,
    )
    expire_after: Seconds | None = key(
        None,
        about="Remove documents so long after the record's time: `expire-field` is filled in where it has none.",
    )
    expire_by_record: bool = key(False, about="Remove documents at the time that the record has in `expire-field`.")
    expire_field: str = key(
        "expire_at",
        about="The field with the time to remove a document at; without one it is kept.",
    )
    time_field: str = key("timestamp", about="The field with the record's time, for `expire-after`.")
    write_concern: int | str | None = key(
        None,
        about="How many members of a replica set confirm a write. Default: that of the URL, else `majority`.",
        validator=_check_write_concern,
    )
    max_bytes: ByteSize = key(
        ByteSize(0),
        about="The most bytes of one command, up to 40 MiB; a batch becomes several where it is larger. 0: 16 MiB.",
        validator=attrs.validators.ge(0),
        aliases=("max_insert_batch_size_bytes",),
    )
    max_document_bytes: ByteSize = key(
        ByteSize(0),
        about="The most bytes of one document; a larger record is rejected. 0: the 16 MiB that the server takes.",
        validator=attrs.validators.ge(0),
        aliases=("max_document_size_bytes",),
    )

    username: str = key("", about="The user, if the URL names none.")
    password: Secret | None = key(
        None, about="The password of the user, here or in the URL.", validator=_check_password
    )
    auth_source: str = key("", about="The database that knows the user. Default: that of the URL, else `admin`.")
    auth_mechanism: str = key("", about="How the user is proven, such as SCRAM-SHA-256 or MONGODB-X509.")

    tls: bool | None = key(None, about="Speak TLS. Default: as the URL says.", aliases=("mongo_use_ssl",))
    tls_ca_file: Path | None = key(
        None, about="The certificates of authorities that are trusted, in PEM.", aliases=("mongo_ssl_ca_file",)
    )
    tls_certificate_key_file: Path | None = key(
        None, about="This side's certificate and its key, in one PEM file.", aliases=("mongo_ssl_pem_keyfile",)
    )
    tls_certificate_key_password: Secret | None = key(None, about="The password of that key.")
    tls_allow_invalid_certificates: bool = key(
        False,
        about="Take any certificate; passwords are then open to whoever listens.",
        aliases=("mongo_ssl_insecure_skip_verify",),
    )
    tls_allow_invalid_hostnames: bool = key(
        False,
        about="Take a trusted certificate of another host.",
        aliases=("mongo_ssl_allow_invalid_hostnames",),
    )

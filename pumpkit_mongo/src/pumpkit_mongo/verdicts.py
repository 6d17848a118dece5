"""What the errors of a server, and of the driver, mean for a pump."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from pumpkit import ConfigError, Unavailable
from pumpkit_mongo.codes import DUPLICATE_KEY, FOR_A_PERSON, OF_DOCUMENT, TRANSIENT


class UnknownFailure(Exception):
    """A whole batch failed, and the code does not say whether time would help: a record in it may be the cause."""


def verdict(error: PyMongoError, place: str) -> Exception:
    """Return the verdict on an error that came instead of an answer; `place` says which server, without secrets."""
    text = words(error)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ConfigError(f"{place}: the certificate of the server is not trusted, see `tls-ca-file`: {text}")
    if isinstance(error, ConfigurationError):
        return ConfigError(f"{place}: {text}")
    if isinstance(error, OperationFailure) and not error.has_error_label("RetryableWriteError"):
        return of_code(error.code or 0, text, place)
    if isinstance(error, ConnectionFailure | OperationFailure) or error.timeout:
        return Unavailable(f"{place}: {type(error).__name__}: {text}")
    return UnknownFailure(f"{place}: {type(error).__name__}: {text}")


def is_of_document(code: int) -> bool:
    """Return whether a code is about one document, which is refused now and later."""
    return code in OF_DOCUMENT


def of_code(code: int, text: str, place: str) -> Exception:
    """Return the verdict on a failure with a code that is not of one document."""
    if code in FOR_A_PERSON:
        return ConfigError(f"{place}: {FOR_A_PERSON[code]} ({code}): {text}")
    if code in TRANSIENT:
        asked = re.search(r"RetryAfterMs=([0-9]{1,7})", text)
        pause = int(asked[1]) / 1000 if asked else None
        return Unavailable(f"{place}: {TRANSIENT[code]} ({code}): {text}", retry_after=pause)
    return UnknownFailure(f"{place}: {OF_DOCUMENT.get(code, 'error')} ({code}): {_without_values(text)}")


def words(error: PyMongoError) -> str:
    """Return what an error says: one line, without the description of the topology and without documents."""
    text = str(error).partition(", full error:")[0].partition(", Timeout: ")[0].partition("dup key:")[0]
    text = text.partition(" (configured timeouts:")[0]
    return re.sub(r"\s+", " ", text).strip()[:300]


def key_fields(item: Mapping[str, Any]) -> list[str] | None:
    """Return the fields of the unique index that has a key already; None where the server does not say."""
    pattern = item.get("keyPattern")
    if pattern is not None:
        return list(pattern)
    named = re.search(r"index: (\S+)", str(item.get("errmsg", "")))
    return None if named is None else ["_id"] if named[1] == "_id_" else [named[1]]


def reason(item: Mapping[str, Any]) -> str:
    """Return why one document is refused, from an entry of `writeErrors`: without its values."""
    code = int(item.get("code", 0))
    if code == DUPLICATE_KEY:
        pattern = item.get("keyPattern") or {}
        return f"another record has the same value of the unique index over {', '.join(pattern) or '?'} (11000)"
    if code == 121:
        return f"the validator of the collection refuses it (121): {_details(item.get('errInfo'))}"
    text = re.sub(r"\s+", " ", str(item.get("errmsg", ""))).partition("dup key:")[0].strip()
    return f"{OF_DOCUMENT.get(code, 'error')} ({code}): {_without_values(text)[:200]}"


def _without_values(text: str) -> str:
    """Return what a server says, without the parts of a document that it shows."""
    return re.sub(r"\{.*(\}|$)", "{...}", text)


def _details(info: Any) -> str:
    """Return which rules of a validator a document breaks: names of fields and rules, never values."""
    found = list(dict.fromkeys(_rules(info)))
    return "; ".join(found)[:300] or "no details"


def _rules(info: Any, field: str = "") -> Any:
    if isinstance(info, Sequence) and not isinstance(info, str | bytes):
        for child in info:
            yield from _rules(child, field)
        return
    if not isinstance(info, Mapping):
        return
    field = str(info.get("propertyName", field))
    if "missingProperties" in info:
        yield f"missing: {', '.join(map(str, info['missingProperties']))}"
    below = [key for key in ("details", "schemaRulesNotSatisfied", "propertiesNotSatisfied") if key in info]
    if (
        "operatorName" in info
        and not any(isinstance(info[key], list) for key in below)
        and "missingProperties" not in info
    ):
        yield f"{field}: {info['operatorName']}" if field else str(info["operatorName"])
    for key in below:
        yield from _rules(info[key], field)

"""What a server's errors mean for a pump. The numbers: https://www.mongodb.com/docs/manual/reference/error-codes/"""

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

#: A unique index has the key already.
DUPLICATE_KEY = 11000

#: One document is refused, whatever else is in the batch, and will be again.
_POISON = {
    2: "BadValue",
    15: "Overflow",
    16: "InvalidLength",
    22: "InvalidBSON",
    28: "PathNotViable",
    52: "DollarPrefixedFieldName",
    53: "InvalidIdField",
    57: "DottedFieldName",
    66: "ImmutableField",
    121: "DocumentValidationFailure",
    10334: "BSONObjectTooLarge",
    16755: "Can't extract geo keys",
    16766: "Can't extract geo keys",
    17280: "KeyTooLong",
    17419: "resulting document too large",
    17420: "document too large",
    DUPLICATE_KEY: "DuplicateKey",
}

#: A person has to change something: rights, names, settings.
_CONFIG = {
    13: "Unauthorized",
    18: "AuthenticationFailed",
    20: "IllegalOperation",
    26: "NamespaceNotFound",
    48: "NamespaceExists",
    59: "CommandNotFound",
    67: "CannotCreateIndex",
    72: "InvalidOptions",
    73: "InvalidNamespace",
    79: "UnknownReplWriteConcern",
    85: "IndexOptionsConflict",
    86: "IndexKeySpecsConflict",
    100: "UnsatisfiableWriteConcern",
    115: "CommandNotSupported",
    166: "CommandNotSupportedOnView",
    197: "InvalidIndexSpecificationOption",
    8000: "AtlasError",
    13297: "DatabaseDifferCase",
}

#: Only time helps.
_TRANSIENT = {
    6: "HostUnreachable",
    7: "HostNotFound",
    24: "LockTimeout",
    50: "MaxTimeMSExpired",
    64: "WriteConcernTimeout",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    112: "WriteConflict",
    134: "ReadConcernMajorityNotAvailableYet",
    146: "ExceededMemoryLimit",
    189: "PrimarySteppedDown",
    202: "NetworkInterfaceExceededTimeLimit",
    262: "ExceededTimeLimit",
    9001: "SocketException",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11602: "InterruptedDueToReplStateChange",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
}


class UnknownFailure(Exception):
    """A whole batch failed, and the code does not say whether time would help: a record in it may be the cause."""


def verdict(error: PyMongoError, place: str) -> Exception:
    """Return the verdict on an error that came instead of an answer; `place` says which server, without secrets."""
    text = words(error)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ConfigError(f"{place}: the certificate of the server is not trusted, see `tls-ca-file`: {text}")
    if isinstance(error, ConfigurationError):
        return ConfigError(f"{place}: {text}")
    if isinstance(error, OperationFailure):
        return of_code(error.code or 0, text, place)
    if isinstance(error, ConnectionFailure) or error.timeout:
        return Unavailable(f"{place}: {type(error).__name__}: {text}")
    return UnknownFailure(f"{place}: {type(error).__name__}: {text}")


def is_of_document(code: int) -> bool:
    """Return whether a code is about one document, which is refused now and later."""
    return code in _POISON


def of_code(code: int, text: str, place: str) -> Exception:
    """Return the verdict on a failure with a code that is not of one document."""
    if code in _CONFIG:
        return ConfigError(f"{place}: {_CONFIG[code]} ({code}): {text}")
    if code in _TRANSIENT:
        return Unavailable(f"{place}: {_TRANSIENT[code]} ({code}): {text}")
    return UnknownFailure(f"{place}: {_POISON.get(code, 'error')} ({code}): {text}")


def words(error: PyMongoError) -> str:
    """Return what an error says: one line, without the description of the topology and without documents."""
    text = str(error).partition(", full error:")[0].partition(", Timeout: ")[0].partition("dup key:")[0]
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
    return f"{_POISON.get(code, 'error')} ({code}): {text[:200]}"


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

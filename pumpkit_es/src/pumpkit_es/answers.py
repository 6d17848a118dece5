"""What Elasticsearch's answers mean to the pump: for one item of a bulk request, or for a whole request.

| answer | verdict |
|---|---|
| item 2xx (not in a failure store), item 409 `version_conflict_engine_exception` (it is there already) | written |
| 408, 429, 501 and above (also 503 with no master, a block for a full disk) | again, these records alone |
| 401, 403, 404, a closed index, a block by a person, no pipeline, write index, shard left, or `routing` | a person |
| 500 | unknown: the pump finds out whether one record causes it |
| item, any other 4xx: mapping, strict mapping, field limit, immense term ... | rejected, with the reason |
| request 413 | smaller requests; a record alone is rejected |
"""

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Any, Literal

import attrs
from elasticsearch import (
    ApiError,
    ConnectionTimeout,
    SerializationError,
    SSLError,
    TransportError,
    UnsupportedProductError,
)

from pumpkit import ConfigError, PumpkitError, Unavailable

Kind = Literal["written", "again", "person", "unknown", "rejected"]

#: What a person has to do, by the type of an error.
_ADVICE = {
    "index_not_found_exception": "create it, or let `action.auto_create_index` allow it",
    "index_closed_exception": "open it",
    "resource_not_found_exception": "delete or reindex that index, or take other names for `index`, or leave out "
    "`data-stream`",
    "cluster_block_exception": "take the block away (index.blocks.*, cluster.blocks.*)",
    "security_exception": "grant its role `create_doc` and `auto_configure` on the index, or take other credentials",
}

#: What it is where no template makes a data stream.
_NO_STREAM_TEMPLATE = "have a template with `data_stream` for it (see `template`), or leave out `data-stream`"

#: What it is where a mapping wants a routing, in words without the ids of documents.
_NO_ROUTING = (
    "routing_missing_exception: the mapping of the index requires a routing: set `routing` to a field that records have"
)

#: Errors with status 400 that are no record's fault, by how their reason begins; a value may stand further on.
_PERSON = [
    (re.compile(r"pipeline with id \[.*\] does not exist"), "create it, or correct `pipeline`"),
    (re.compile(r"no write index is defined for alias"), "give the alias a write index"),
    (
        re.compile(r"(Validation Failed: 1: )?this action would add \[\d+\] shards"),
        "delete indices, or raise `cluster.max_shards_per_node`",
    ),
]

#: How the reason of a term that Lucene does not take begins; it names the field.
_IMMENSE = "Document contains at least one immense term"

#: The parts of a reason that show what is in the document, or name it.
_TELLS = re.compile(
    r"\.? Preview of field's value: .*|,? all of which were skipped.*|\s+at \[Source: .*| in document with id '[^']*'",
    re.S,
)


#: Types of errors whose reasons show no value, but for the parts above. Processors of ingest pipelines have the others.
_OF_NO_PROCESSOR = {
    "document_parsing_exception",
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
    "validation_exception",
    *_ADVICE,
}

#: The values that a processor shows: from the first bracket or quote that is not about a field, a type, a path or a
#: pipeline to the last, for a value may have such marks in it; or what stands at the end.
_VALUES = re.compile(
    r"(?<=field value: ).*|(?<=source: ).*|(?<=string: ).*"
    r"|(?:(?<!\bfield )(?<!\btype )(?<!\bpath )(?<!\bpipeline )(?<!pipeline with id )(?<!\balias )\[|\"|(?<!\w)')"
    r"(?:.*[\]\"']|.*)",
    re.S,
)


@attrs.frozen
class Judgement:
    """A verdict and its reason."""

    kind: Kind
    reason: str = ""


WRITTEN = Judgement("written")

#: A document that its data stream refused and keeps elsewhere: a success to Elasticsearch, none to whoever searches.
IN_FAILURE_STORE = Judgement("rejected", "the data stream refused it, and put it into its failure store")


class ServerFault(PumpkitError):
    """The server failed in itself (status 500), or said what nobody understands: an unknown verdict."""


class TooLarge(PumpkitError):
    """The server, or a proxy before it, does not take a request of this size."""


def of_item(item: Mapping[str, Any]) -> Judgement:
    """Judge one item of a bulk answer: its `status` and `error`."""
    status = item["status"]
    if status < 300:
        return IN_FAILURE_STORE if item.get("failure_store") == "used" else WRITTEN
    error = item.get("error") or {}
    kind, reason = error.get("type", ""), error.get("reason", "")
    if status == 409 and kind == "version_conflict_engine_exception":
        return WRITTEN
    cause = (error.get("caused_by") or {}).get("reason", "")
    if cause.startswith(_IMMENSE):  # other causes show the value
        reason = cause
    elif status in (400, 500) and kind not in _OF_NO_PROCESSOR and not reason.startswith(_IMMENSE):
        reason = _VALUES.sub("[...]", reason)
    return of_error(status, kind, reason)


def of_error(status: int, kind: str, reason: str) -> Judgement:
    """Judge an error by its status, type and reason."""
    told = f"{kind or f'status {status}'}: {told_reason(reason)}".removesuffix(": ")
    if kind == "cluster_block_exception" and "/disk usage exceeded flood-stage" in reason:
        return Judgement("again", f"a disk of Elasticsearch is full, free some of it: {told}")
    if status in (408, 429) or status > 500:
        return Judgement("again", told)
    if status == 500:
        return Judgement("unknown", told)
    if kind == "routing_missing_exception":  # with `routing` set, a record without that field is not sent
        return Judgement("person", _NO_ROUTING)
    advice = _ADVICE.get(kind) if status in (401, 403, 404) or kind == "index_closed_exception" else None
    if kind == "index_not_found_exception" and "creation request requires a data stream" in reason:
        advice = _NO_STREAM_TEMPLATE
    if status == 400:
        advice = advice or next((todo for pattern, todo in _PERSON if pattern.match(reason)), None)
    if advice or status in (401, 403, 404):
        return Judgement("person", f"{told}: {advice}" if advice else told)
    return Judgement("rejected", told)


def told_reason(reason: object) -> str:
    """Return a reason on one line, short, and without the part that shows the document."""
    return " ".join(_TELLS.sub("", str(reason)).split())[:500]


def of_request(error: Exception, hosts: str) -> Exception:
    """Return the verdict of a request that failed as a whole; `hosts` tells where, for people."""
    match error:
        case UnsupportedProductError():
            return ConfigError(f"{hosts}: this is not Elasticsearch, or a proxy hides that it is")
        case ApiError():
            return _of_status(error, hosts)
        case SSLError():
            return _of_tls(error, hosts)
        case ConnectionTimeout():
            return TimeoutError(f"{hosts}: no answer in time")
        case SerializationError():
            return Unavailable(f"{hosts}: the answer is not JSON; does a proxy answer in Elasticsearch's place?")
        case TransportError():
            told = _told_error(error)
            if "http:" in hosts and "closed connection without response" in told:
                told += " (is it https://?)"
            return Unavailable(f"{hosts}: {told}")
    return error


def _of_status(error: ApiError, hosts: str) -> Exception:
    status, body = error.meta.status, error.body
    found = body.get("error", {}) if isinstance(body, Mapping) else {}
    kind, reason = (found.get("type", ""), found.get("reason", "")) if isinstance(found, Mapping) else ("", str(found))
    if status == 413:
        return TooLarge(told_reason(reason))
    if kind == "media_type_header_exception" or status in (406, 415):
        return ConfigError(_other_version(hosts, str(found)))
    if 300 <= status < 400:
        return ConfigError(f"{hosts}: answers with a redirect ({status}); put the address it leads to in `hosts`")
    judgement = of_error(status, kind, reason)
    told = f"{hosts}: {judgement.reason}"
    if judgement.kind == "again":
        return Unavailable(told, retry_after(error.meta.headers.get("retry-after")))
    if judgement.kind == "person":
        return ConfigError(told)
    return ServerFault(told)


def _other_version(hosts: str, said: str) -> str:
    older = re.search(r"version must be either version (\d+) or \d+, but found (\d+)", said)
    if older and int(older[1]) < int(older[2]):
        return (
            f"{hosts}: the server is Elasticsearch {older[1]}, and the installed client speaks to {older[2]} only: "
            f"pip install 'elasticsearch<{older[2]}'"
        )
    return f"{hosts}: this is no server that the installed client can speak to: {told_reason(said)}"


def _of_tls(error: SSLError, hosts: str) -> Exception:
    told = _told_error(error)
    if "CERTIFICATE_VERIFY_FAILED" in told or "ingerprint" in told or "certificate" in told.lower():
        return ConfigError(
            f"{hosts}: its certificate is not trusted ({told}): "
            "name that of its authority in `ca-file`, or the fingerprint in `ca-fingerprint`"
        )
    if "WRONG_VERSION_NUMBER" in told or "UNKNOWN_PROTOCOL" in told or "HTTP_REQUEST" in told:
        return ConfigError(f"{hosts}: does not speak TLS ({told}): write http:// in `hosts`")
    return Unavailable(f"{hosts}: {told}")


def _told_error(error: TransportError) -> str:
    """Return what went wrong with a connection, without the objects that it went wrong in."""
    return told_reason(re.sub(r"^HTTPS?Connection(Pool)?\(.*?\): ", "", str(error.message)))


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a header `Retry-After` asks for, in seconds or as a date; None if it says nothing."""
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None

"""The index template that is put in place at the start, so that new indices map records well."""

import json
from pathlib import Path
from typing import Any, Literal

from elasticsearch import ApiError, Elasticsearch, NotFoundError, TransportError

from pumpkit import ConfigError
from pumpkit_es import answers
from pumpkit_es.index_names import IndexNames
from pumpkit_es.warned import log_warnings

#: The version of the default mapping. A template of this version or a later one is left as it is.
VERSION = 1

#: The lowest: any template that somebody made on purpose wins, and one of the same rank is an error that names it.
PRIORITY = 0

#: What the default says of new indices:
#: - text is a keyword of up to 8,191 characters, so that no term is larger than Lucene takes; longer text is kept, but
#:   not found;
#: - a number with a fraction is a double, where Elasticsearch would make it a float, which 1e300 does not fit;
#: - only text in the form in which times are written becomes a date, and no text becomes a number;
#: - fields beyond the limit of a mapping are kept, but not found, so that no record is lost to it.
MAPPINGS: dict[str, Any] = {
    "date_detection": True,
    "dynamic_date_formats": ["yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"],
    "numeric_detection": False,
    "dynamic_templates": [
        {"times": {"match_mapping_type": "date", "mapping": {"type": "date", "format": "strict_date_optional_time"}}},
        {"fractions": {"match_mapping_type": "double", "mapping": {"type": "double"}}},
        {"text": {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 8191}}},
    ],
}
SETTINGS: dict[str, Any] = {"index.mapping.total_fields.ignore_dynamic_beyond_limit": True}


def default(names: IndexNames, time_field: str, data_stream: bool) -> dict[str, Any]:
    """Return the body of the default template for these names."""
    times = {time_field: {"type": "date", "format": "strict_date_optional_time||epoch_second"}}
    if data_stream:
        times["@timestamp"] = {"type": "date"}
    body: dict[str, Any] = {
        "index_patterns": [names.pattern],
        "priority": PRIORITY,
        "version": VERSION,
        "template": {"settings": SETTINGS, "mappings": {**MAPPINGS, "properties": times}},
        "_meta": {"description": "made by pumpkit"},
    }
    if data_stream:
        body["data_stream"] = {}
    return body


def name_of(names: IndexNames) -> str:
    """Return the name of the template for these names: one for each pattern."""
    return f"pumpkit-{names.pattern.replace('*', '_')}"


def install(
    client: Elasticsearch,
    hosts: str,
    wanted: Literal["default", "none"] | Path,
    names: IndexNames,
    time_field: str,
    data_stream: bool,
) -> None:
    """Put the template in place. Raises ConfigError with what is wrong with it, Unavailable, or TimeoutError."""
    if wanted == "none":
        return
    name = name_of(names)
    try:
        with log_warnings():
            if isinstance(wanted, Path):
                client.indices.put_index_template(name=name, body=_read(wanted))
            elif _version(client, name) < VERSION:
                client.indices.put_index_template(name=name, body=default(names, time_field, data_stream))
    except (ApiError, TransportError) as error:
        verdict = answers.of_request(error, hosts)
        if isinstance(error, ApiError) and isinstance(verdict, ConfigError | answers.ServerFault):
            raise ConfigError(f"the index template {name} is refused, see `template`: {verdict}") from None
        raise verdict from None


def _version(client: Elasticsearch, name: str) -> int:
    """Return the version of the template of that name, 0 if there is none."""
    try:
        found = client.indices.get_index_template(name=name)["index_templates"]
    except NotFoundError:
        return 0
    return int(found[0]["index_template"].get("version", 0))


def _read(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the index template cannot be read from {path}: {error}") from None
    if not isinstance(body, dict) or "index_patterns" not in body:
        raise ConfigError(f"{path}: must be the body of an index template, with `index_patterns`")
    return body

"""The index template that is put in place at the start, so that new indices map records well."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError, TransportError

from pumpkit import ConfigError
from pumpkit_es import answers
from pumpkit_es.index_names import IndexNames
from pumpkit_es.warned import log_warnings

#: The version of the default mapping. A template of this version or a later one is left as it is.
VERSION = 1

#: The lowest: any template that somebody made on purpose wins, and one of the same rank is an error that names it.
PRIORITY = 0

#: How far templates of pumps rise above each other where their patterns overlap; Elasticsearch's own begin at 100.
HIGHEST = 99

#: What tells a template of pumpkit from any other.
MADE_BY = "made by pumpkit"

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
        "_meta": {"description": MADE_BY, "data_stream": data_stream, "time_field": time_field},
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
            else:
                _install_default(client, name, default(names, time_field, data_stream))
    except (ApiError, TransportError) as error:
        verdict = answers.of_request(error, hosts)
        if isinstance(error, ApiError) and isinstance(verdict, ConfigError | answers.ServerFault):
            raise ConfigError(f"the index template {name} is refused, see `template`: {verdict}") from None
        raise verdict from None


def _install_default(client: Elasticsearch, name: str, body: dict[str, Any]) -> None:
    """Put the default template in place, unless there is one that is as new and for the same settings, or not ours."""
    found = _templates(client).get(name)
    if found is None or found.get("version", 0) < VERSION or (_is_ours(found) and found["_meta"] != body["_meta"]):
        _put(client, name, body)


def _put(client: Elasticsearch, name: str, body: dict[str, Any]) -> None:
    """Put a template of ours in place: above those of ours with a wider pattern, and below those with a narrower one.

    Raises ApiError, also where one that is not ours has the same rank.
    """
    rivals = {
        other: found
        for other, found in _templates(client).items()
        if other != name and _is_ours(found) and _rank(found) < HIGHEST  # a person has given it more
    }
    rank = max([_rank(body), *(_rank(found) + 1 for found in rivals.values() if _is_wider(found, body))])
    for other, found in rivals.items():
        if _is_wider(body, found) and _rank(found) <= rank:
            _put(client, other, found | {"priority": rank + 1})
    try:
        client.indices.put_index_template(name=name, body=body | {"priority": rank})
    except BadRequestError as error:  # neither is the wider one: any order is as good
        named = re.search(r"from existing templates \[([^\]]+)\].* that have the same priority", str(error.body))
        if not named or not rivals.keys() >= set(named[1].split(",")) or rank >= HIGHEST:
            raise
        _put(client, name, body | {"priority": rank + 1})


def _templates(client: Elasticsearch) -> dict[str, dict[str, Any]]:
    """Return the templates that are named like those of pumps, by name, as they would be put in place."""
    try:
        found = client.indices.get_index_template(name="pumpkit-*")["index_templates"]
    except NotFoundError:
        return {}
    return {
        one["name"]: {key: value for key, value in one["index_template"].items() if not key.endswith("_date_millis")}
        for one in found
    }


def _is_ours(template: dict[str, Any]) -> bool:
    return (template.get("_meta") or {}).get("description") == MADE_BY


def _rank(template: dict[str, Any]) -> int:
    return int(template.get("priority", 0))


def _is_wider(template: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether a template is for every name that the other one is for, and for more."""
    return _covers(template, other) and not _covers(other, template)


def _covers(template: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(any(fnmatchcase(one, wide) for wide in template["index_patterns"]) for one in other["index_patterns"])


def _read(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the index template cannot be read from {path}: {error}") from None
    if not isinstance(body, dict) or "index_patterns" not in body:
        raise ConfigError(f"{path}: must be the body of an index template, with `index_patterns`")
    return body

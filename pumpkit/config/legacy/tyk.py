"""A configuration of Tyk Pump, in terms of pumpkit."""

from typing import Any

from pumpkit.config import scalars
from pumpkit.config.legacy import health, pumps, server
from pumpkit.config.legacy.translation import Item, OldKey, Translation, count, mapping, one_of, port, text, texts
from pumpkit.config.problems import join

PROGRAM = "Tyk Pump"

#: What the fields are called that omit-detailed-recording blanks and max_record_size cuts.
DETAIL_FIELDS = ["raw_request", "raw_response"]

_UPTIME = (
    "uptime records are not moved: the list host-checker:tyk-uptime-analytics grows if the gateway's uptime tests are"
    " on; switch them off, or leave it to a Tyk Pump that has this list only"
)
_STATSD = "is not honoured: the health endpoint serves metrics for Prometheus at /metrics; it may go"
_DECODE = "does nothing in the original either; set it in a pump"
_TLS_VERSION = "is not honoured: TLS 1.2 and later are spoken; the server decides"

KEYS = [
    OldKey("analytics_storage_type", "nothing: it is redis", one_of("redis"), ("redis",)),
    OldKey("analytics_storage_config", "an entry of `inputs`, and `buffer` on the same server", mapping),
    OldKey("purge_delay", "`purge-delay`", count),
    OldKey(
        "purge_chunk",
        "not needed: lists are always moved in small parts",
        count,
        (0,),
        "is not needed: lists are always moved in small parts, until they are empty; it may go",
    ),
    OldKey(
        "storage_expiration_time",
        "not honoured: nothing expires",
        count,
        (0,),
        "is not honoured: no record expires before it is delivered; it may go",
    ),
    OldKey("dont_purge_uptime_data", "uptime records are not moved", scalars.boolean, (True,), _UPTIME),
    OldKey("uptime_pump_config", "uptime records are not moved", mapping, ({},)),
    OldKey("pumps", "`pumps`, names in lower case", mapping),
    OldKey("statsd_connection_string", "not honoured", text, note=_STATSD),
    OldKey("statsd_prefix", "not honoured", text, note=_STATSD),
    OldKey("log_level", "`log.level`: warn is warning", one_of("debug", "info", "warn", "error")),
    OldKey(
        "log_format",
        "`log.format`: legacy is text",
        one_of("text", "json", "legacy"),
        ("text", "json"),
        "`legacy` is the format text here",
    ),
    OldKey("health_check_endpoint_name", "`health-check-path`; health without it", text),
    OldKey("health_check_endpoint_port", "the port of `health-check-address` 0.0.0.0; 8083 without it", port),
    OldKey(
        "omit_detailed_recording",
        "`omit-detailed-recording`, with raw_request and raw_response as `detail-fields`",
        scalars.boolean,
        (False,),
        "is honoured here: every pump gets records without raw_request and raw_response, though the original sends"
        " them on all the same",
    ),
    OldKey("max_record_size", "`max-detail-bytes` of every pump that has none", count),
    OldKey(
        "omit_config_file",
        "nothing, as in the original",
        scalars.boolean,
        (False,),
        "is ignored, for it would be read from the environment; it may go",
    ),
    OldKey(
        "enable_http_profiler",
        "not honoured",
        scalars.boolean,
        (False,),
        "is not honoured: there is no profiler of Go here; it may go",
    ),
    OldKey("raw_request_decoded", "nothing, as in the original", scalars.boolean, (False,), _DECODE),
    OldKey("raw_response_decoded", "nothing, as in the original", scalars.boolean, (False,), _DECODE),
    OldKey(
        "kv",
        "refused; write `${NAME}` or `${file:PATH}`",
        mapping,
        ({},),
        refusal="stores of secrets are not read; write ${NAME} or ${file:PATH} where a value refers to one",
    ),
]

STORAGE_KEYS = [
    OldKey("type", "nothing: it is redis", one_of("redis")),
    *(
        OldKey(key.name.replace("-", "_"), key.becomes, key.read, key.idle, key.note)
        for key in server.KEYS
        if key.name != "addrs"
    ),
    OldKey("addrs", "the hosts in both URLs: of sentinels, of a cluster, else the first one", texts),
    OldKey("hosts", "the same, as a mapping of host to port", mapping),
    OldKey("sentinel_password", "`sentinel-password` in both URLs", text),
    OldKey("key_prefix", "what the `key` of the input begins with; `analytics-` without it", text),
    OldKey("redis_key_prefix", "the same, where there is no key_prefix", text),
    OldKey("redis_use_ssl", "the same as use_ssl", scalars.boolean),
    OldKey("redis_ssl_insecure_skip_verify", "the same as ssl_insecure_skip_verify", scalars.boolean),
    OldKey("ssl_ca_file", "`ca-file` in both URLs, from the folder of this file", text),
    OldKey("ssl_cert_file", "`cert-file` in both URLs, from the folder of this file", text),
    OldKey("ssl_key_file", "`key-file` in both URLs, from the folder of this file", text),
    OldKey("ssl_max_version", "not honoured", text, note=_TLS_VERSION),
    OldKey("ssl_min_version", "not honoured", text, ("1.2",), note=_TLS_VERSION),
    OldKey("iam_auth", "refused if it is enabled", mapping),
]

PUMP_KEYS = [
    *pumps.KEYS,
    OldKey("name", "nothing, as in the original: `type` says what a pump is", text),
    OldKey("max_record_size", "`max-detail-bytes`", count),
    OldKey("ignore_fields", "`ignore-fields`", texts),
    OldKey("raw_request_decoded", "`decode-base64: [raw_request]`", scalars.boolean),
    OldKey("raw_response_decoded", "`decode-base64: [raw_response]`", scalars.boolean),
]

FILTERS = [
    OldKey("api_ids", "`filters.include.api_id`", pumps.ids),
    OldKey("org_ids", "`filters.include.org_id`", pumps.ids),
    OldKey("response_codes", "`filters.include.response_code`", pumps.codes),
    OldKey("skip_api_ids", "`filters.exclude.api_id`", pumps.ids),
    OldKey("skip_org_ids", "`filters.exclude.org_id`", pumps.ids),
    OldKey("skip_response_codes", "`filters.exclude.response_code`", pumps.codes),
]

#: Fields whose name in the original's JSON is not the one they have here.
_RENAMED = {"expireAt": "expire_at"}


def translate(values: dict[str, Any], translation: Translation) -> None:
    """Put everything that a file of Tyk Pump says."""
    items = translation.read(values, "", KEYS)
    _refuse_references(translation, values, "")
    if "dont_purge_uptime_data" not in items:
        translation.note("dont_purge_uptime_data", f"is not there, so it is false, but {_UPTIME}")
    health.put_delay(translation, items.get("purge_delay"), default=None)
    health.put_path(translation, items.get("health_check_endpoint_name"), "health")
    number = items.get("health_check_endpoint_port")
    address = f"0.0.0.0:{number.value if number and number.value else 8083}"
    translation.put(("health-check-address",), address, number.path if number else "")
    _put_log(translation, items)
    _put_storage(translation, items.get("analytics_storage_config"))
    _put_detail(translation, items)
    for name, pump in pumps.put(translation, items.get("pumps"), PUMP_KEYS, FILTERS).items():
        _put_pump(translation, name, pump, items.get("max_record_size"))


def _put_log(translation: Translation, items: dict[str, Item]) -> None:
    if level := items.get("log_level"):
        translation.put(("log", "level"), "warning" if level.value == "warn" else level.value, level.path)
    if form := items.get("log_format"):
        translation.put(("log", "format"), "json" if form.value == "json" else "text", form.path)


def _put_storage(translation: Translation, block: Item | None) -> None:
    path = block.path if block else "analytics_storage_config"
    items = translation.read(block.kept if block else None, path, STORAGE_KEYS)
    if (auth := items.get("iam_auth")) and auth.value.get("enabled") not in (None, False):
        translation.refuse(auth.path, "logging in by a cloud's identities is not known here; use username and password")
    prefix = items.get("key_prefix") or items.get("redis_key_prefix")
    key = f"{prefix.value if prefix else 'analytics-'}tyk-system-analytics"
    server.put(translation, items, path, "tyk", key)


def _put_detail(translation: Translation, items: dict[str, Item]) -> None:
    omit = items.get("omit_detailed_recording")
    translation.put(("detail-fields",), DETAIL_FIELDS, omit.path if omit else "")
    if omit:
        translation.put(("omit-detailed-recording",), omit.kept, omit.path)


def _put_pump(translation: Translation, name: str, items: dict[str, Item], size: Item | None) -> None:
    own = items.get("max_record_size")
    size = own if own and own.value else size
    if size and size.value:
        translation.put(("pumps", name, "max-detail-bytes"), size.kept, size.path)
    if ignored := items.get("ignore_fields"):
        fields = [_RENAMED.get(field, field) for field in ignored.value]
        translation.put(("pumps", name, "ignore-fields"), fields, ignored.path)
    decoded = [(field, items[f"{field}_decoded"]) for field in DETAIL_FIELDS if f"{field}_decoded" in items]
    if fields := [field for field, item in decoded if item.value]:
        translation.put(("pumps", name, "decode-base64"), fields, decoded[0][1].path)


def _refuse_references(translation: Translation, value: Any, path: str) -> None:
    """Refuse values that stand for one in a store of secrets."""
    if isinstance(value, str) and (value.startswith("kv://") or "$kv{" in value):
        translation.refuse(path, "refers to a store of secrets, which is not read; write ${NAME} or ${file:PATH}")
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        _refuse_references(translation, child, join(path, key))

"""The keys of pumpkit.yaml: each with its type, its default and one sentence, from which the reference is made.

A class here is one mapping of the file; keys are written in kebab-case (`purge-delay`) and snake_case is accepted.
Lists and maps inside are plain, so that a pump's settings travel to its worker as JSON.
"""

import re
import socket
from pathlib import Path
from typing import Any, Literal

import attrs

from pumpkit.config import rules
from pumpkit.config.inputs import InputConfig
from pumpkit.config.keys import key, no_key
from pumpkit.config.problems import Problem
from pumpkit.config.types import ByteSize, Seconds, format_size
from pumpkit.records import DETAIL_FIELDS

#: Values that a record's field is compared with: text, a number, a boolean or null.
Scalar = str | int | float | bool | None


@attrs.frozen
class Filters:
    """Which records a pump wants. Exclude wins; a missing field fails `include` and passes `exclude`."""

    include: dict[str, list[Scalar]] = key(
        about="Keep only records whose field has one of these values, for every field named, as `field: [values]`."
        " Also written usernames (field username), api_ids, org_ids, response_codes (fields api_id, org_id,"
        " response_code): `usernames: [colin]`.",
        factory=dict,
    )
    exclude: dict[str, list[Scalar]] = key(
        about="Leave out records whose field has one of these values, for any field named, as `field: [values]`."
        " Also written skip_usernames, skip_api_ids, skip_org_ids and skip_response_codes.",
        factory=dict,
    )


@attrs.frozen
class PumpConfig:
    """One pump: a sink plugin with its own filters, timeout, position in the log and process."""

    name: str = no_key(str)
    type: str = key("", about="The sink plugin, by its entry-point name. Default: the pump's name.")
    enabled: bool = key(True, about="Whether the runner starts this pump. A disabled one keeps its place in the log.")
    required: bool = key(
        True, about="Whether health depends on it, and whether the log waits for it when it nears its size cap."
    )
    sources: list[str] = key(
        about="Deliver only what reporters with these service names sent. Empty: everything.", factory=list
    )
    filters: Filters = key(about="Which records this pump wants, by the values of their fields.", factory=Filters)
    omit_detailed_recording: bool = key(False, about="Blank the detail fields before the sink gets the record.")
    detail_fields: list[str] = key(
        about="The fields that omit-detailed-recording blanks.", factory=lambda: list(DETAIL_FIELDS)
    )
    max_detail_bytes: ByteSize | None = key(
        None,
        about="Cut the detail fields to so many bytes, where they are text or bytes. Default: they stay whole.",
        validator=rules.between(1, 1 << 30, format_size),
    )
    decode_base64: list[str] = key(
        about="Fields whose base64 text is decoded for this pump; what is none stays as it is.", factory=list
    )
    ignore_fields: list[str] = key(about="Fields that this pump's sink does not get.", factory=list)
    fields: list[str] | None = key(
        None,
        about="The only fields a sink gets, by their original names. Default: all of them.",
        validator=rules.some_field,
    )
    rename_fields: dict[str, str] = key(
        about="New names of fields, as `original: new`.", factory=dict, validator=rules.one_name_each
    )
    add_fields: dict[str, Any] = key(about="Constant fields added to every record.", factory=dict)
    timeout: Seconds | None = key(
        None, about="The longest one write may take. 0: no limit. Default: what the plugin says, else 10 s."
    )
    batch_records: int = key(
        1_000, about="The most records given to the sink in one write.", validator=rules.between(1, 100_000)
    )
    batch_bytes: ByteSize = key(
        ByteSize(4 << 20),
        about="The most stored bytes fetched from the log at a time; one frame is always fetched.",
        validator=rules.between(1, 1 << 30, format_size),
    )
    max_attempts: int = key(
        5,
        about="How often a batch is tried whole before it is halved in search of the record that breaks it.",
        validator=rules.between(1, 1_000),
    )
    reject_limit: int = key(
        1_000,
        about="This many records rejected in a row, without one accepted, stop the pump: a setting is wrong.",
        validator=rules.between(1, 1_000_000_000),
    )
    workers: int = key(
        1,
        about="How many processes share the work of this pump on this machine; a sink that keeps an order has one, and"
        " so has every pump of a buffer in a file.",
        validator=rules.between(1, 32),
    )
    start: Literal["oldest", "newest"] = key(
        "oldest", about="Where a new pump begins: at the oldest record in the log, or only at what comes next."
    )
    meta: dict[str, Any] = key(
        about="The plugin's own settings; `pumpkit plugins ls` prints them.", factory=dict, repr=False
    )


@attrs.frozen
class BufferConfig:
    """The durable log between applications and the runner."""

    url: str | None = key(
        None,
        about="Where it is, such as sqlite:///buffer.db (three slashes: relative to this file; four: absolute)"
        " or redis://HOST."
        " Default: $PUMPKIT_BUFFER, else a file in the XDG state directory.",
        validator=rules.buffer_url,
        repr=False,
    )
    max_bytes: ByteSize | None = key(
        None,
        about="The size cap, stored in the buffer and applied by everybody. Default: 1 GiB in a new buffer.",
        validator=rules.between(1 << 20, 1 << 50, format_size),
    )
    shards: int | None = key(
        None,
        about="How many streams a new buffer in Redis spreads its records over. Default: what the URL says, else 1.",
        validator=rules.shards,
    )


@attrs.frozen
class LogConfig:
    """What the runner writes to stderr."""

    level: Literal["debug", "info", "warning", "error"] = key("info", about="The least severe message shown.")
    format: Literal["text", "json"] = key("text", about="One line of text, or one JSON object, per message.")


@attrs.frozen
class Config:
    """A whole pumpkit.yaml."""

    file: Path = no_key(Path)
    buffer: BufferConfig = key(about="The durable log: a URL, or a mapping.", factory=BufferConfig)
    purge_delay: Seconds = key(Seconds(0.2), about="The pause between drains; a drain goes on until the log is empty.")
    health_check_address: str | None = key(
        "127.0.0.1:7070",
        about="`host:port` of the health endpoint, an IPv6 address in brackets; null switches it off.",
        validator=rules.address,
    )
    health_check_path: str = key(
        "healthz",
        about="The path of the health check that covers every required pump.",
        validator=rules.url_path,
    )
    omit_detailed_recording: bool = key(False, about="Blank the detail fields for every pump.")
    detail_fields: list[str] = key(
        about="The fields that omit-detailed-recording blanks, where a pump names none.",
        factory=lambda: list(DETAIL_FIELDS),
    )
    shutdown_grace: Seconds | None = key(
        None, about="How long a stop waits for batches in hand. Default: the largest timeout and 2 s, at least 8 s."
    )
    slot: str | None = key(
        None,
        about="The name of this runner among those of one buffer, the same after each restart. Default: the host name.",
        validator=rules.slot_name,
    )
    log: LogConfig = key(about="What the runner writes to stderr.", factory=LogConfig)
    inputs: dict[str, InputConfig] = key(
        about="Lists of Go programs that are moved into the log, by name (as of pumps).", factory=dict
    )
    pumps: dict[str, PumpConfig] = key(about="The pumps, by name (`[a-z0-9][a-z0-9_.-]{0,62}`).", factory=dict)
    #: Line of every key path in the file (`pumps.audit.meta.csv-dir` -> 12), for messages.
    lines: dict[str, int] = no_key(dict, repr=False)
    #: What is read and not honoured, or not meant so: to be told, and no reason not to run.
    notes: list[Problem] = no_key(list, repr=False)

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from, absolute."""
        return self.file.parent.absolute()

    @property
    def runner_slot(self) -> str:
        """The slot, also where it is the host name."""
        return self.slot or re.sub(r"[^a-zA-Z0-9._-]", "-", socket.gethostname())[:63]

    @property
    def enabled_pumps(self) -> dict[str, PumpConfig]:
        """The pumps that the runner starts."""
        return {name: pump for name, pump in self.pumps.items() if pump.enabled}

    @property
    def enabled_inputs(self) -> dict[str, InputConfig]:
        """The inputs that the runner drains."""
        return {name: one for name, one in self.inputs.items() if one.enabled}

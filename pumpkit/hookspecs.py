"""The hooks: what a pump asks of its sink. A pump is a little host with a plugin manager of its own.

A plugin takes only the arguments it wants. Arguments are only ever added; a removed one warns for two minor releases.
"""

from collections.abc import Callable
from typing import Any

import pluggy

from pumpkit.config import Meta, PumpConfig

PROJECT = "pumpkit"

hookspec = pluggy.HookspecMarker(PROJECT)

#: Marks a function of a plugin module, or a method of a sink, as an implementation of a hook.
hookimpl = pluggy.HookimplMarker(PROJECT)

#: A record as a sink gets it: field name to value, fresh from the decoder and the sink's to change.
Record = dict[str, Any]

#: What one write gets.
Records = list[Record]

#: Answers whether a pump wants a record.
Predicate = Callable[[Record], bool]

#: Returns how a record looks without its detail.
Shorten = Callable[[Record], Record]


class PluginSpecs:
    """What the module that an entry point of the group `pumpkit` names has to offer."""

    @hookspec(firstresult=True)
    def new(self, meta: Meta) -> object:
        """Return the sink for one pump, from its `meta`. No I/O here.

        `meta.into(Class)` structures it strictly; the function's return annotation is the class whose settings
        `pumpkit plugins ls` describes.
        """


class SinkSpecs:
    """What a sink may implement; `write_data` it must."""

    @hookspec
    def init(self, config: PumpConfig) -> None:
        """Connect, create what is missing. Called once per process, before the first write; 30 s at most.

        Raise Unavailable to be tried again soon, ConfigError to wait for a person.
        """

    @hookspec
    def filters(self, config: PumpConfig) -> Predicate | None:
        """Return a predicate over a record, or None. It can only narrow what the configuration lets through."""

    @hookspec(firstresult=True)
    def omit_detail(self, config: PumpConfig) -> Shorten | None:
        """Return how a record looks without its detail, or None. Asked only if the configuration says omit."""

    @hookspec(firstresult=True)
    def timeout(self, config: PumpConfig) -> float | None:
        """Return the seconds one write may take, or None. The configuration wins; without either it is 10."""

    @hookspec
    def write_data(self, records: Records, ids: list[str], timeout: float | None, late: bool) -> None:
        """Write all records, or raise a verdict: Unavailable, PartialWrite, ConfigError.

        `ids[i]` is the id of `records[i]`, stable over every redelivery: use it as the unique key. `timeout` is in
        seconds, None for no limit. `late` means that these ids may lie below ones already seen (a replay): write them
        all the same. When this returns, what it accepted is as durable as the sink can make it. Return nothing.
        """

    @hookspec
    def close(self) -> None:
        """Release what `init` took. Nothing may be left to flush."""

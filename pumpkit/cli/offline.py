"""The status without a runner that tells it: what the buffer and the configuration alone know."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pumpkit.buffers.base import BufferStats, CursorStats, pumps_of
from pumpkit.status import InputStatus, PumpStatus, State, Status

if TYPE_CHECKING:
    from pumpkit.config import Config, PumpConfig


def offline(
    stats: BufferStats | None,
    config: "Config | None",
    runner: Mapping[str, str] | None = None,
    runners: Sequence[dict[str, str]] = (),
) -> Status:
    """Return every pump of the configuration, then those that only the buffer knows.

    Without a configuration nobody can tell a pump from an orphan, so none is called one. With `runner`, what a runner
    that lives but does not answer says of itself in the buffer, the states are `unknown`. `runners` are all that the
    buffer knows of.
    """
    cursors = stats.cursors if stats else {}
    configured = config.pumps if config else {}
    status = Status(buffer=stats, config=str(config.file) if config else "", runners=list(runners))
    elsewhere = pumps_of(runners)
    if runner:
        pid = runner.get("pid", "")
        status.pid = int(pid) if pid.isdecimal() else None
        status.host = runner.get("host", "")
    for name in [*configured, *sorted(set(cursors) - set(configured))]:
        status.pumps[name] = _pump(name, configured.get(name), cursors.get(name), bool(config), bool(runner))
        if status.pumps[name].state == "orphan" and name in elsewhere:
            status.pumps[name].enter("elsewhere", "in the configuration of another runner")
    for name, one in (config.inputs if config else {}).items():
        state: State = "unknown" if runner and one.enabled else "stopped"
        reason = "" if one.enabled else "enabled: false in the configuration"
        status.inputs[name] = InputStatus(name, one.type, one.required, state, reason)
    return status


def _pump(
    name: str, pump: "PumpConfig | None", cursor: CursorStats | None, has_config: bool, has_runner: bool
) -> PumpStatus:
    state, reason = _state(pump, cursor, has_config, has_runner)
    status = PumpStatus(name, state=state, reason=reason, cursor=cursor)
    if pump:
        status.type, status.required = pump.type, pump.required
    return status


def _state(
    pump: "PumpConfig | None", cursor: CursorStats | None, has_config: bool, has_runner: bool
) -> tuple[State, str]:
    if has_config and pump is None:
        return "orphan", "not in the configuration; it still holds records: `pumpkit cursor drop` lets go of them"
    if cursor and cursor.wanted == "pause":
        return "paused", "until `pumpkit resume`"
    if pump and not pump.enabled:
        return "stopped", "enabled: false in the configuration"
    if has_runner:
        return "unknown", ""
    return "stopped", ""

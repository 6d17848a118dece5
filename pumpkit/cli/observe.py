"""Finding out what the pumps do: from the runner if one lives and answers, else from the buffer."""

import http.client
import json
import socket
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import attrs

from pumpkit.buffers import Buffer, open_buffer
from pumpkit.buffers.registry import default_url
from pumpkit.cli.offline import offline
from pumpkit.cli.target import Target
from pumpkit.config import Config, ConfigInvalid
from pumpkit.config.types import split_address
from pumpkit.errors import BufferError

#: Seconds that a runner has for its answer.
PATIENCE = 2.0

#: The most bytes of an answer that are read.
LONGEST_ANSWER = 16 << 20


@attrs.frozen
class Observation:
    """`document` is a `Status` as JSON; `live` tells whether a runner made it; `remarks` say what stood in the way."""

    document: dict[str, Any]
    live: bool
    remarks: list[str]
    unreachable: BufferError | None = None


def observe(target: Target) -> Observation:
    """Return the status, as well as it can be had: a broken configuration or buffer is a remark, not an error."""
    remarks: list[str] = []
    config = _config(target, remarks)
    url = target.buffer_url or (config and config.buffer.url) or default_url()
    try:
        with closing(open_buffer(url, create=False)) as buffer:
            return _observe(buffer, config, remarks)
    except BufferError as error:
        return Observation(offline(None, config).to_json(), False, remarks, error)


def _config(target: Target, remarks: list[str]) -> Config | None:
    try:
        return target.config_if_any()
    except ConfigInvalid as error:
        remarks += [str(problem) for problem in error.problems]
        if not target.buffer_url:
            remarks.append("without a configuration this is the default buffer; --buffer URL shows another one")
        return None


def _observe(buffer: Buffer, config: Config | None, remarks: list[str]) -> Observation:
    runners = buffer.runners()
    runner = _nearest(runners, config)
    if runner:
        try:
            return Observation(_ask(runner), True, remarks)
        except (OSError, ValueError, http.client.HTTPException) as error:
            remarks.append(f"a runner lives (pid {runner.get('pid', '?')} on {runner.get('host', '?')}), but {error}")
    return Observation(offline(buffer.stats(), config, runner, runners).to_json(), False, remarks)


def _nearest(runners: Sequence[dict[str, str]], config: Config | None) -> dict[str, str] | None:
    """Return the living runner to ask: the one of this configuration's slot, else of this host, else any."""
    slot = config.runner_slot if config else ""
    living = [one for one in runners if one["alive"] == "yes"]
    living.sort(key=lambda one: (one["slot"] != slot, one.get("host") != socket.gethostname()))
    return living[0] if living else None


def _ask(runner: dict[str, str]) -> dict[str, Any]:
    """Return the runner's /status.json. Raises OSError, HTTPException, or ValueError for what is no such answer."""
    address = runner.get("health", "")
    if not address:
        raise ValueError("its health endpoint is switched off (health-check-address: null)")
    host, port = split_address(address)
    elsewhere = runner.get("host") not in ("", None, socket.gethostname())
    connection = http.client.HTTPConnection(_reachable(host, elsewhere, runner), port, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", "/status.json")
        answer = connection.getresponse()
        body = answer.read(LONGEST_ANSWER)
        if answer.status != http.client.OK:
            raise ValueError(f"{address} answers {answer.status} {answer.reason}")
    document = json.loads(body)
    if not isinstance(document, dict) or str(document.get("pid")) != runner.get("pid"):
        raise ValueError(f"something else answers at {address}")
    return document


def _reachable(host: str, elsewhere: bool, runner: dict[str, str]) -> str:
    """Return where to connect for what a runner bound: every address is reached by one of them."""
    if host in ("0.0.0.0", "::"):
        return runner["host"] if elsewhere else "127.0.0.1"
    if elsewhere and host in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"its health endpoint, {host}, is reached only from its own host")
    return host


def pump_trouble(target: Target, buffer: Buffer, pump: str) -> str | None:
    """Return why no worker will do what is asked of a pump now, and what to do about it; None if one will."""
    try:
        config = target.config_if_any()
    except ConfigInvalid:
        config = None  # the runner goes on with the one that it has
    if config and pump not in config.pumps:
        return f"{config.file} has no such pump; add it, and its worker will"
    if config and not config.pumps[pump].enabled:
        return f"the pump is disabled in {config.file}"
    if buffer.runner() is None:
        return "no runner is running; start one with `pumpkit run`"
    if buffer.stats().cursors[pump].wanted == "pause":
        return f"the pump is paused; `pumpkit resume {pump}` wakes it"
    return None

"""`pumpkit run`: from a configuration to an exit code."""

import contextlib
import logging

from pumpkit.buffers import open_buffer
from pumpkit.buffers.registry import default_url, driver
from pumpkit.config import Config
from pumpkit.errors import BufferBusy, BufferConfigError, BufferError
from pumpkit.runner.logs import set_up_logging, tell_notes
from pumpkit.runner.loop import BUSY, Runner

UNAVAILABLE, CONFIG = 69, 78

log = logging.getLogger(__name__)


def run(config: Config) -> int:
    """Run the pumps of a configuration until a signal says stop; return the exit code.

    0 stopped, 69 the buffer cannot be reached or the health port is taken, 75 another runner holds the buffer, or its
    slot there, 78 the buffer cannot work as configured, 130 a second signal ended it at once.
    """
    set_up_logging(config.log)
    tell_notes(config)
    advice = ""
    try:
        with contextlib.ExitStack() as stack:
            buffer = open_buffer(config.buffer.url, create=True)
            stack.callback(buffer.close)
            if buffer.can_be_shared:
                advice = "; several runners share a buffer: give each its own slot (`slot:` in its configuration)"
            _tell_doubts(config.buffer.url or default_url())
            buffer.runner_lock({}, config.runner_slot).release()  # a second one is told so, not that its port is taken
            runner = Runner(config, buffer)
            health = runner.listen()
            if health is not None:
                stack.callback(health.close)
            runner.hold_slot(health.address if health else "")
            stack.callback(runner.leave_slot)
            if config.buffer.max_bytes is not None:
                buffer.set_max_bytes(config.buffer.max_bytes)
            return runner.run()
    except BufferBusy as error:
        log.error("%s%s", error, advice)
        return BUSY
    except BufferConfigError as error:
        log.error("%s", error)
        return CONFIG
    except (BufferError, OSError) as error:
        log.error("%s", error)
        return UNAVAILABLE


def _tell_doubts(url: str) -> None:
    """Log what is not as it should be with the place of the buffer: what it may lose, what room it lacks."""
    for fact in driver(url).facts(url):
        if fact.severity != "good":
            log.warning("the buffer: %s", fact.text)

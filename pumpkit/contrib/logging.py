"""Recording log lines: a handler of the standard `logging` package.

    logging.getLogger().addHandler(RecordHandler())

The line is formatted in the thread that logs, because its arguments may change afterwards; nothing else waits there.
"""

import contextlib
import datetime
import logging
import sys
import threading
import traceback
from typing import Any

import pumpkit
from pumpkit.contrib.checks import check_reporter, checked_value
from pumpkit.reporter import Reporter

#: Attributes that every LogRecord has, or that formatters and newer versions of Python give it.
_USUAL = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})

#: The name of a reporter's own thread.
_SENDING = "pumpkit-reporter"


class RecordHandler(logging.Handler):
    """Hands log lines to a reporter, as records.

    reporter: which reporter; None for that of the process.
    level: the least level that is recorded.
    extra: whether a line's own attributes (`extra=`, and what filters add) become fields.
    max_chars: characters of a message, of a traceback and of an attribute that is text, 1 at least; of what is longer,
        the middle is left out. Other attributes are left out whole if they take more bytes.
    flush_timeout: seconds that `flush` may wait. `logging.shutdown` calls it, and so does `logging.config` where it
        replaces this handler: set it low if you configure logging again while the buffer may be away.

    A record has the fields `time` (aware datetime, UTC), `level` (its name), `logger`, `message`, `module`, `function`,
    `line`, `thread` and `process` (names), `task` (name of the asyncio task), `exception` and `stack` (text). What does
    not apply is None. Attributes of the line follow under their own names; what has no form on the wire is left out,
    and none replaces one of these fields.

    Lines of `pumpkit` itself, and those that its sending thread causes elsewhere, are left out: the reporter logs that
    its buffer is away, and a record of that would wait for the same buffer. The handler takes no lock, so threads do
    not wait for each other. A line that cannot be formatted goes to `handleError`, as everywhere in `logging`. A
    formatter that is set has no say.

    Raises TypeError or ValueError for wrong arguments.
    """

    def __init__(
        self,
        reporter: Reporter | None = None,
        level: int | str = logging.NOTSET,
        *,
        extra: bool = True,
        max_chars: int = 16_384,
        flush_timeout: float = 2.0,
    ) -> None:
        check_reporter(reporter, "record", "flush")
        if isinstance(max_chars, bool) or not isinstance(max_chars, int) or max_chars < 1:
            raise ValueError(f"max_chars={max_chars!r:.200}: it must be a whole number, 1 or more")
        if isinstance(flush_timeout, bool) or not isinstance(flush_timeout, int | float) or not flush_timeout >= 0:
            raise ValueError(f"flush_timeout={flush_timeout!r:.200}: it must be a number of seconds, 0 or more")
        super().__init__(level)
        self._reporter = reporter
        self._extra = extra
        self._max_chars = max_chars
        self._flush_timeout = flush_timeout

    def handle(self, record: logging.LogRecord) -> bool:
        """Record a line if the filters let it pass. Takes no lock: nothing here changes, and `record` needs none."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Record a line."""
        name = record.name
        if name.startswith("pumpkit.") or name == "pumpkit" or record.threadName == _SENDING:
            return
        try:
            fields = self._fields(record)
        except Exception:
            self.handleError(record)
            return
        hand_over = pumpkit.record if self._reporter is None else self._reporter.record
        hand_over(fields)

    def flush(self) -> None:
        """Wait until all that was recorded before is sent, `flush_timeout` seconds at most.

        At the end of the program it does not wait: the reporter has its own exit handler, and its own deadline.
        """
        if threading.main_thread().is_alive():
            reporter = pumpkit.get_reporter() if self._reporter is None else self._reporter
            reporter.flush(self._flush_timeout)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        cut = self._cut
        fields = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": cut(record.getMessage()),
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
            "thread": record.threadName,
            "process": record.processName,
            "task": getattr(record, "taskName", None) or _task_name(),
            "exception": cut(_exception(record)),
            "stack": cut(record.stack_info),
        }
        if self._extra:
            for name, value in vars(record).items():
                if name not in _USUAL and name not in fields:
                    self._add(fields, name, value)
        return fields

    def _add(self, fields: dict[str, Any], name: str, value: Any) -> None:
        if type(value) is str:
            fields[name] = self._cut(value)
        else:
            with contextlib.suppress(Exception):  # what cannot be packed must not cost the line
                fields[name] = checked_value(name, value, self._max_chars)

    def _cut(self, text: str | None) -> str | None:
        """Leave out the middle of a long text: the end of a traceback says most."""
        most = self._max_chars
        if text is None or len(text) <= most:
            return text
        begin, end = most // 4, most - most // 4
        return f"{text[:begin]}\n... {len(text) - most} characters left out ...\n{text[-end:]}"


def _exception(record: logging.LogRecord) -> str | None:
    """Return the traceback of a line, None if it has none."""
    if record.exc_info and record.exc_info[0] is not None:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
    return record.exc_text


def _task_name() -> str | None:
    """Return the name of the asyncio task that logs; lines have it themselves only since Python 3.12."""
    asyncio: Any = sys.modules.get("asyncio")
    if asyncio is None or sys.version_info >= (3, 12):
        return None
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None
    return None if task is None else str(task.get_name())

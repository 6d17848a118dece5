"""What the runner writes to stderr: one line a message, as text or JSON, with `pump=` or `input=` before it."""

import datetime
import json
import logging
import sys

from pumpkit.config import Config, LogConfig

#: What a message may be about.
_ABOUT = ("pump", "input")


log = logging.getLogger(__name__)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        about = "".join(f"{key}={fields[key]} " for key in _ABOUT if key in fields)
        # A plugin's output comes through here: one message stays one line, and no control character gets through.
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in fields["message"]
        )
        return f"{fields['time']} {fields['level']:<7} {about}{text}"

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        fields = {"time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "level": record.levelname}
        fields |= {key: name for key in _ABOUT if (name := getattr(record, key, ""))}
        return fields | {"message": text}


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record))


def set_up_logging(config: LogConfig) -> None:
    """Send pumpkit's messages of the configured level to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if config.format == "json" else _Formatter())
    root = logging.getLogger("pumpkit")
    root.handlers = [handler]
    root.setLevel(config.level.upper())
    root.propagate = False


def tell_notes(config: Config) -> None:
    """Log what a configuration says that is not honoured, or not meant so."""
    for note in config.notes:
        log.warning("%s", note)

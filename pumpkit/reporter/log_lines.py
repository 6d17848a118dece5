"""Our log lines. Most are written by the thread that sends, which no filter or handler of the application may end."""

import contextlib
import logging
from typing import Any


class LogLines(logging.LoggerAdapter[logging.Logger]):
    """The logger of that name; writing a line raises nothing, whatever code of the application it runs."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.getLogger(name))

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a line, which shows the caller as its place."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        with contextlib.suppress(Exception):
            super().log(level, msg, *args, **kwargs)


log = LogLines("pumpkit.reporter")

"""What programs of the matrix record with, and the file in which they say so: it is copied into their folder.

The file tells the test what to expect of the buffer, whatever becomes of the program: each line is appended in one
write, by whichever process it is true of.
"""

import os
import time

import pumpkit

AWAY = os.environ["WAY_CONDITION"] in ("away", "refusing", "nowhere", "hanging")

#: The process-wide reporter. By itself it sends nothing before the process ends, so that rows show the worst case;
#: programs whose thread shall be busy set `WAY_FLUSH_INTERVAL`.
reporter = pumpkit.configure(
    flush_interval=float(os.environ.get("WAY_FLUSH_INTERVAL", "60")),
    exit_timeout=float(os.environ["WAY_EXIT_TIMEOUT"]),
    records_buffer_size=1_000_000,
)


def _say(*words: object) -> None:
    line = " ".join(map(str, words)) + "\n"
    file = os.open(os.environ["WAY_FILE"], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def record(by: str, number: int = 10, *, kept: bool = True) -> None:
    """Record so many records under a name, which has to be new and without blanks.

    kept: False for what waits in memory when the process ends in a way that runs none of its code.
    """
    for n in range(number):
        pumpkit.record({"by": by, "n": n})
    _say("recorded", by, number, "kept" if kept else "risked")


def ending() -> None:
    """Say that the end begins now: from here on the exit must not take longer than the deadline."""
    _say("ending", time.monotonic())


def told(number: int) -> None:
    """Say that the program itself knows that so many records are not in the buffer."""
    _say("told", number)


def flush() -> None:
    """Wait until all is in the buffer; say how many are not, where it is away."""
    result = pumpkit.flush(0.2 if AWAY else 60)
    if result.pending:
        told(result.pending)

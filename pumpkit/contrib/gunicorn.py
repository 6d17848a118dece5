"""Hooks of gunicorn, for records of workers that gunicorn kills. A worker that ends in order needs none.

In gunicorn.conf.py: `from pumpkit.contrib.gunicorn import worker_abort, worker_exit`; without such a file:
`gunicorn -c python:pumpkit.contrib.gunicorn`. Hooks of your own with these names call these.
"""

from typing import Any

from pumpkit.reporter import process

#: Seconds that an aborted worker has: gunicorn kills it about a second after it was told.
_ABORT = 0.5


def worker_abort(worker: Any) -> None:
    """Send what waits in a worker that was silent for `timeout`, within 0.5 s: gunicorn kills it a second later.

    A worker runs this only if it hangs in Python, or in a call that a signal interrupts. Where C code hangs, what was
    recorded in the last `flush_interval` is lost.
    """
    process.finish(_ABORT)


def worker_exit(server: Any, worker: Any) -> None:
    """Send what waits in a worker that ends, within `exit_timeout` (2 s).

    Needed where threads of the worker hang (`-k gthread`): Python waits for them before it runs exit handlers, until
    gunicorn kills the worker.
    """
    process.send()

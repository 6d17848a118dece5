"""The hook of gunicorn for workers that it kills, because they hang. A worker that ends in order needs none.

In gunicorn.conf.py: `from pumpkit.contrib.gunicorn import worker_abort`; without such a file:
`gunicorn -c python:pumpkit.contrib.gunicorn`. A hook of your own with this name calls this one.
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

"""What the processes of a Celery worker need to send their records before they end: they run no exit handlers.

Import it in the module that makes the Celery application, or in one of its tasks: `import pumpkit.contrib.celery`.
"""

from typing import Any

from celery.signals import worker_process_shutdown

from pumpkit.reporter import process


def send_records(**_: Any) -> None:
    """Send what waits when a process of the pool ends, after `max-tasks-per-child` say, within `exit_timeout` (2 s).

    A process whose task has exceeded its hard time limit has a tenth of a second, then Celery kills it.
    """
    process.finish()


worker_process_shutdown.connect(send_records)

"""Workers of RQ that send what a job has recorded: the process of a job, by itself, ends without any exit handler.

`rq worker -w pumpkit.contrib.rq.Worker`. A worker class of your own takes `SendsRecords` as its first base.
`SimpleWorker` runs jobs in its own process, which ends in order, and needs nothing.
"""

from typing import Any

import rq

from pumpkit.reporter import process


class SendsRecords:
    """Lets the process that a worker makes for a job (the work horse) send what waits, within `exit_timeout` (2 s).

    That is after the job: its timeout does not count any more. Of a job that RQ kills, what was recorded in the last
    `flush_interval` is lost.
    """

    def perform_job(self, *arguments: Any, **options: Any) -> bool:
        """Perform the job, and send what it has recorded: RQ ends the process by `os._exit` then."""
        try:
            return super().perform_job(*arguments, **options)  # type: ignore[misc, no-any-return]
        finally:
            if self.is_horse:  # type: ignore[attr-defined]
                process.finish()


class Worker(SendsRecords, rq.Worker):
    """The default worker, which forks for each job."""


class SpawnWorker(SendsRecords, rq.SpawnWorker):
    """The worker that starts a new interpreter for each job."""

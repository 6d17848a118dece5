"""The runner: supervises one worker process per pump, looks after the log, answers signals (`pumpkit run`)."""

from pumpkit.runner.loop import run

__all__ = ["run"]

"""The runner: supervises one worker process per pump, looks after the log, answers signals (`pumpkit run`)."""

from pumpkit.runner.start import run

__all__ = ["run"]

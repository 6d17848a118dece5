"""What can be known of plugins without running them: asked of short-lived workers, so that none is imported here."""

import queue
import time
from collections.abc import Sequence
from typing import Any

import attrs

from pumpkit.config import Config, Problem, Where
from pumpkit.config.snapshot import snapshot
from pumpkit.pipes import INIT_LIMIT
from pumpkit.runner.process import WorkerProcess

#: Workers asked at a time.
AT_ONCE = 4


@attrs.frozen
class PluginReport:
    """An installed plugin as a worker saw it. With an `error`, what is wrong with it, little else is known.

    `settings` are the keys of its meta: dicts of key, type, default, about, required and secret.
    """

    name: str
    distribution: str = ""
    version: str = ""
    doc: str = ""
    hooks: list[str] = attrs.field(factory=list)
    settings: list[dict[str, Any]] = attrs.field(factory=list)
    ordered: bool = False
    duplicates: str = "never"
    error: str = ""


def check(config: Config) -> list[Problem]:
    """Return everything wrong with the plugins of the enabled pumps and their meta; connects to nothing."""
    names = list(config.enabled_pumps)
    answers = _ask([(name, {"v": 1, "pump": name, "check": True, "config": snapshot(config, name)}) for name in names])
    problems = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, str):
            path = f"pumps.{name}.type"
            problems.append(Problem(path, f"plugin {config.pumps[name].type!r}: {answer}", str(config.file)))
        else:
            problems += [Problem(**problem) for problem in answer["problems"]]
    return [_placed(config, problem) for problem in problems]


def _placed(config: Config, problem: Problem) -> Problem:
    if problem.line is not None:
        return problem
    where = Where(str(config.file), config.lines)
    return attrs.evolve(problem, file=where.file, line=where.line(problem.path))


def describe_plugins(names: Sequence[str]) -> list[PluginReport]:
    """Return what each of these installed plugins is."""
    answers = _ask([(name, {"v": 1, "describe": name}) for name in names])
    return [
        PluginReport(name, error=answer)
        if isinstance(answer, str)
        else PluginReport(**{key: value for key, value in answer.items() if key != "status"})
        for name, answer in zip(names, answers, strict=True)
    ]


def _ask(jobs: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any] | str]:
    """Give each job to a worker; return its report, or why there is none."""
    answers: list[dict[str, Any] | str] = []
    for at in range(0, len(jobs), AT_ONCE):
        asked = [_Question(name, job) for name, job in jobs[at : at + AT_ONCE]]
        until = time.monotonic() + INIT_LIMIT
        answers += [question.answer(until) for question in asked]
    return answers


class _Question:
    """One worker with one job that ends by itself."""

    def __init__(self, name: str, job: dict[str, Any]) -> None:
        self._heard: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._process = WorkerProcess(name, job, lambda process, message: self._heard.put(message))

    def answer(self, until: float) -> dict[str, Any] | str:
        """Return the report, or what became of the worker; at `until` (by time.monotonic) it is killed."""
        report: dict[str, Any] | None = None
        try:
            while (message := self._heard.get(timeout=max(0.1, until - time.monotonic()))) is not None:
                if message["status"] == "report":
                    report = message
        except queue.Empty:
            self._process.kill()
            return f"gave no answer in {INIT_LIMIT:g} s: importing it hangs"
        finally:
            code = self._end()
        return report or f"importing it ended the process ({'signal' if code < 0 else 'exit code'} {abs(code)})"

    def _end(self) -> int:
        until = time.monotonic() + 2.0
        while (code := self._process.poll()) is None and time.monotonic() < until:
            time.sleep(0.01)
        if code is None:
            self._process.kill()
            while (code := self._process.poll()) is None:
                time.sleep(0.01)
        self._process.close()
        return code

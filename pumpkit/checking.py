"""What can be known of plugins without running them: asked of short-lived workers, so that none is imported here."""

import queue
import time
from collections.abc import Sequence
from typing import Any, Literal

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

    `settings` are the keys of its meta: dicts of key, type, default, about, required and secret. `duplicates` is never,
    possible, or depends (on the settings).
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


@attrs.frozen
class Trial:
    """What came of letting a pump's sink connect once.

    It connected (`good`), it would be tried again (`away`), a person has to change something (`misconfigured`), or it
    did what no sink may (`broken`). An `ordered` sink may be refused what the running worker's sink holds.
    """

    outcome: Literal["good", "away", "misconfigured", "broken"]
    reason: str = ""
    plugin: str = ""
    ordered: bool = False


def check(config: Config) -> list[Problem]:
    """Return everything wrong with the plugins of the enabled pumps and their meta; connects to nothing."""
    return _examine(config, {})[0]


def check_and_connect(config: Config) -> tuple[list[Problem], dict[str, Trial]]:
    """As `check`, and let every good sink of an enabled pump connect and close; nothing is written."""
    return _examine(config, {"connect": True})


def _examine(config: Config, more: dict[str, Any]) -> tuple[list[Problem], dict[str, Trial]]:
    names = list(config.enabled_pumps)
    jobs = [{"v": 1, "pump": name, "check": True, "config": snapshot(config, name)} | more for name in names]
    answers = _ask(list(zip(names, jobs, strict=True)))
    problems: list[Problem] = []
    trials = {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, _Silence) and answer.connecting:
            trials[name] = Trial("broken", answer.reason)
        elif isinstance(answer, _Silence):
            path = f"pumps.{name}.type"
            problems.append(Problem(path, f"plugin {config.pumps[name].type!r}: {answer.reason}", str(config.file)))
        else:
            problems += [Problem(**problem) for problem in answer["problems"]]
            if "trial" in answer:
                trials[name] = Trial(**answer["trial"])
    return [_placed(config, problem) for problem in problems], trials


def _placed(config: Config, problem: Problem) -> Problem:
    if problem.line is not None:
        return problem
    where = Where(str(config.file), config.lines)
    return attrs.evolve(problem, file=where.file, line=where.line(problem.path))


def describe_plugins(names: Sequence[str]) -> list[PluginReport]:
    """Return what each of these installed plugins is."""
    answers = _ask([(name, {"v": 1, "describe": name}) for name in names])
    return [
        PluginReport(name, error=answer.reason)
        if isinstance(answer, _Silence)
        else PluginReport(**{key: value for key, value in answer.items() if key != "status"})
        for name, answer in zip(names, answers, strict=True)
    ]


@attrs.frozen
class _Silence:
    """Why a worker gave no report; `connecting` is whether its sink was being connected."""

    reason: str
    connecting: bool


def _ask(jobs: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any] | _Silence]:
    """Give each job to a worker; return its report, or why there is none."""
    answers: list[dict[str, Any] | _Silence] = []
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

    def answer(self, until: float) -> dict[str, Any] | _Silence:
        """Return the report, or what became of the worker; at `until` (by time.monotonic) it is killed."""
        report: dict[str, Any] | None = None
        connecting, doing = False, "importing it"
        try:
            while (message := self._heard.get(timeout=max(0.1, until - time.monotonic()))) is not None:
                if message["status"] == "report":
                    report = message
                elif message["status"] == "state":
                    connecting, doing = True, "connecting (`init` and `close`)"
        except queue.Empty:
            self._process.kill()
            return _Silence(f"gave no answer in {INIT_LIMIT:g} s: {doing} hangs", connecting)
        finally:
            code = self._end()
        how = "signal" if code < 0 else "exit code"
        return report or _Silence(f"{doing} ended the process ({how} {abs(code)})", connecting)

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

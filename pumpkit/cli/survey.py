"""What `pumpkit check --connect` finds out: of the buffer, of who uses it, and of every pump's sink."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import attrs

from pumpkit.buffers import open_buffer
from pumpkit.buffers.base import BufferStats, CursorStats, Severity
from pumpkit.buffers.registry import default_url, driver
from pumpkit.checking import Trial
from pumpkit.cli.text import ago, moment, number, plural, size, span, unused
from pumpkit.config import Config, Problem, Where
from pumpkit.config.inputs import InputConfig
from pumpkit.errors import BufferConfigError, BufferError, BufferMissing

#: The share of its cap from which on the runner makes room in the buffer, at the cost of optional pumps.
_NEARLY_FULL = 0.9

Runner = Mapping[str, str]


@attrs.frozen
class Finding:
    """One sentence on one thing: `about` is `buffer`, `runner SLOT`, `pump NAME`, `cursor NAME` or `input NAME`."""

    about: str
    severity: Severity
    text: str


@attrs.define
class Survey:
    """Everything found, and whether something could not be reached or cannot work as configured."""

    findings: list[Finding] = attrs.field(factory=list)
    unreachable: bool = False

    @property
    def broken(self) -> bool:
        """Whether something cannot work as configured."""
        return any(finding.severity == "error" for finding in self.findings)

    def add(self, about: str, severity: Severity, text: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(about, severity, text))


def survey(config: Config, trials: Mapping[str, Trial]) -> Survey:
    """Look at the buffer of a configuration, and judge what came of connecting its sinks."""
    found = Survey()
    url = config.buffer.url or default_url()
    stats, runners = None, []
    try:
        found.findings += [Finding("buffer", *fact) for fact in driver(url).facts(url)]
        with closing(open_buffer(url, create=False)) as buffer:
            stats, runners = buffer.stats(), buffer.runners()
    except BufferMissing as error:
        found.add("buffer", "good", f"{unused(error.location)}; whoever comes first makes it")
    except BufferConfigError as error:
        found.add("buffer", "error", str(error))
    except BufferError as error:
        found.unreachable = True
        found.add("buffer", "warning", f"cannot be reached: {error}")
    if stats:
        found.findings += [*_buffer(stats), *_runners(runners)]
    for name, pump in config.pumps.items():
        cursor = stats.cursors.get(name) if stats else None
        findings = [*_sink(config, name, trials[name], runners)] if name in trials else []
        if not pump.enabled:
            findings.append(Finding(f"pump {name}", "good", "disabled"))
        if cursor:
            findings += _place(f"pump {name}", cursor)
        elif stats and pump.enabled:
            findings.append(Finding(f"pump {name}", "good", f"new: it begins with the {pump.start} record"))
        found.findings += findings
        found.unreachable |= name in trials and trials[name].outcome == "away"
    for name, one in config.enabled_inputs.items():
        _input(found, f"input {name}", one, one.url or url)
    orphans = sorted(set(stats.cursors) - set(config.pumps)) if stats else []
    found.findings += [_orphan(stats.cursors[name], config) for name in orphans if stats]
    return found


def _input(found: Survey, about: str, one: InputConfig, url: str) -> None:
    """Look at the lists of an input, and for a Go pump that drains them as well."""
    from pumpkit.buffers.redis.lists import go_pump_lock, look_at_lists

    try:
        states = look_at_lists(url, [key for key, _ in one.lists()])
        lock = go_pump_lock(url) if one.dialect == "iam" else None
    except BufferConfigError as error:
        found.add(about, "error", str(error))
        return
    except BufferError as error:
        found.unreachable = True
        found.add(about, "warning", f"cannot be reached: {error}")
        return
    for state in states:
        if state.kind not in ("list", "none"):
            found.add(about, "error", f"{state.key} is no list but a {state.kind}; another program uses this key")
        elif state.length:
            found.add(about, "good", f"the list {state.key} has {plural(state.length, 'item')}")
        if state.kind == "list" and state.expires is not None:
            text = f"the list {state.key} expires in {span(state.expires)}, with all that is in it then"
            found.add(about, "warning", f"{text}: a Tyk Pump with `purge_chunk` sets that; PERSIST it")
    if not any(state.length for state in states):
        first = f" {states[0].key}" if len(states) == 1 else f"s {states[0].key} and {len(states) - 1} more"
        found.add(about, "good", f"the list{first} {'is' if len(states) == 1 else 'are'} empty")
    if lock is not None:
        text = f"an iam-pump has locked this list for itself ({span(lock)} left); stop it, or each gets a part of it"
        found.add(about, "warning", text)


def _buffer(stats: BufferStats) -> Iterator[Finding]:
    share = stats.size_bytes / stats.max_bytes if stats.max_bytes else 0.0
    used = f"{size(stats.size_bytes)} of its cap of {size(stats.max_bytes)} are used ({100 * share:.0f} %)"
    room = f"{stats.location}: {used}"
    if share >= _NEARLY_FULL:
        hint = (
            "optional pumps skip records now, and soon appends are refused: see `pumpkit status` for the slowest pump"
        )
        yield Finding("buffer", "warning", f"{room}; {hint}")
    else:
        yield Finding("buffer", "good", room)
    if not stats.stored and not stats.producers:
        yield Finding("buffer", "warning", unused(stats.location))
    else:
        last = max((producer.last_ms for producer in stats.producers), default=0)
        wrote = f", the last one wrote {ago(last / 1000)}" if last else ""
        records = plural(stats.stored, "record")
        yield Finding("buffer", "good", f"{records} stored so far, {plural(len(stats.producers), 'producer')}{wrote}")
    drops = ", ".join(f"{number(count)} {cause}" for cause, count in stats.drops.items() if count)
    if drops:
        yield Finding("buffer", "warning", f"reporters have dropped records: {drops}")
    if stats.lost:
        yield Finding("buffer", "warning", f"{plural(stats.lost, 'record')} were lost on the way into it")


def _runners(runners: Sequence[Runner]) -> Iterator[Finding]:
    for runner in runners:
        about = f"runner {runner['slot']}" if runner.get("slot") else "runner"
        if _alive(runner):
            yield Finding(about, "good", f"alive: {_who(runner)}")
        else:
            yield Finding(about, "good", f"away, as far as the buffer knows: {_who(runner)} had it last")
    if not any(map(_alive, runners)):
        yield Finding("runner", "good", "none is running; start one with `pumpkit run`")


def _alive(runner: Runner) -> bool:
    return runner.get("alive") == "yes"


def _who(runner: Runner) -> str:
    return f"pid {runner.get('pid', '?')} on {runner.get('host') or '?'}"


def _sink(config: Config, name: str, trial: Trial, runners: Sequence[Runner]) -> Iterator[Finding]:
    """Say what came of connecting a pump's sink."""
    about = f"pump {name}"
    user = next((runner for runner in runners if _alive(runner) and _runs(runner, name)), None)
    match trial.outcome:
        case "good":
            yield Finding(about, "good", f"its sink connects: {trial.plugin}")
        case "away":
            text = f"its sink cannot be reached, the pump would wait for it: {trial.reason}"
            yield Finding(about, "warning", text)
        case "misconfigured" if trial.ordered and user:
            text = f"its sink is in use by the running runner ({_who(user)}); tried beside it, it says: {trial.reason}"
            yield Finding(about, "good", text)
        case "misconfigured" | "broken":
            where = Where(str(config.file), config.lines)
            path = f"pumps.{name}.meta"
            yield Finding(about, "error", str(Problem(path, trial.reason, where.file, where.line(path))))


def _runs(runner: Runner, pump: str) -> bool:
    """Return whether a runner has this pump; one that does not name its pumps has all of them."""
    return "pumps" not in runner or pump in runner["pumps"].split()


def _place(about: str, cursor: CursorStats) -> Iterator[Finding]:
    paused = cursor.wanted == "pause"
    hint = f"; it is paused: `pumpkit resume {cursor.pump}` lets it go on" if paused else ""
    yield Finding(about, "warning" if paused else "good", _waiting(cursor) + hint)
    if cursor.dead_letters:
        text = f"{plural(cursor.dead_letters, 'dead letter')}: `pumpkit dlq ls {cursor.pump}` shows why"
        yield Finding(about, "warning", text)


def _orphan(cursor: CursorStats, config: Config) -> Finding:
    text = f"no pump of {config.file} has this name, and the buffer keeps what it has not passed: {_waiting(cursor)};"
    return Finding(f"cursor {cursor.pump}", "warning", f"{text} `pumpkit cursor drop {cursor.pump}` forgets it")


def _waiting(cursor: CursorStats) -> str:
    """Say how far behind a pump is, and since when."""
    if not cursor.lag:
        return "no record waits for it"
    text = f"{plural(cursor.lag, 'record')} wait{'s' if cursor.lag == 1 else ''} for it"
    if cursor.oldest_ms is None or cursor.oldest_ms / 1000 > time.time():
        return text
    return f"{text}, the oldest since {moment(cursor.oldest_ms)}"

"""Contract: what a plugin is before it has written anything."""

import difflib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from pumpkit.config.describe import default_text, walk
from pumpkit.config.document import parse
from pumpkit.config.keys import Key
from pumpkit.config.masking import names_secret
from pumpkit.config.structure import converter
from pumpkit.describing import describe_plugin, sink_class
from pumpkit.errors import ConfigError
from pumpkit.plugins import HOOKS, Sink, load
from pumpkit.testing import watched
from pumpkit.testing.bench import Bench, answer
from pumpkit.testing.case import Failed, can, case, check
from pumpkit.testing.elsewhere import connected, elsewhere, until_written
from pumpkit.testing.leaks import Ear, secrets_in, whole
from pumpkit.testing.limit import GRACE, INIT_LIMIT, within
from pumpkit.testing.readme import examples

#: How alike a name and that of a hook are, from 0 to 1, if one is taken for the other.
NEARLY = 0.92


@case("contract")
def validate_is_pure(bench: Bench) -> None:
    """Making a sink (`new`) checks its settings and does no more: no connection, no file or directory, no process, no
    thread. `init` is the place for them.
    """
    before = _tree(bench)
    did = watched.of_new(bench)
    check(not did, f"`new` {', '.join(did)}; leave that to `init`")
    more = _tree(bench) - before
    check(not more, f"`new` makes {', '.join(sorted(more))}; leave that to `init`")


@case("contract")
def config_schema_roundtrip(bench: Bench) -> None:
    """The plugin describes its settings: each says what it is for, and each default, as it is printed, is the default
    when it is read back. The settings that lead to the destination are taken.
    """
    described = describe_plugin(bench.plugin)
    check("error" not in described, str(described.get("error")))
    cls = sink_class(load(bench.installed).new)
    settings = list(walk(cls)) if cls is not None and attrs.has(cls) else []
    words = "there are settings that lead to the destination, and `pumpkit plugins ls` shows none"
    check(settings or not bench.destination.meta(), f"{words}; declare them by `key` in the attrs class `new` returns")
    silent = [path for path, key in settings if not key.about.strip()]
    check(not silent, f"{', '.join(silent)}: say what the setting is for, by `key(..., about=...)`")
    for path, key in settings:
        _check_default(path, key)
    bench.new()


def _check_default(path: str, key: Key) -> None:
    """Check that a default, written into a file as it is printed, is the default."""
    text = default_text(key)
    if not text:  # required, a secret, or a mapping of settings, which come by themselves
        return
    words = f"the default of {path} is printed as {text}, which"
    try:
        found = converter(Path()).structure(parse(f"key: {text}".encode()).values["key"], key.type)
    except (ValueError, TypeError) as error:
        raise Failed(f"{words} the setting refuses: {error}") from error
    check(found == key.default(), f"{words} is read as {found!r}, and the default is {key.default()!r}")


@case("contract", alone=True)
def examples_validate(bench: Bench) -> None:
    """The README of the distribution shows how the plugin is configured: at least one block of YAML with `pumps:`, and
    every such block is valid. `${NAME}` and `${file:PATH}` may stand for anything.
    """
    about = bench.installed.entry.dist
    readme = str(about.metadata.json.get("description", "")) if about is not None else ""
    found = examples(readme, bench.plugin, bench.folder)
    words = f"the README of the distribution has no ```yaml block with `pumps:` and a pump of type {bench.plugin}"
    check(found, f"{words}; show one, and install the distribution again, as its metadata hold the README")
    for config, meta in found:
        try:
            Sink.open(config, meta)
        except ConfigError as error:
            raise Failed(f"the README's pump {config.name} is not valid: {error}") from error


@case("contract")
def secrets_never_in_repr_or_logs(bench: Bench) -> None:
    """Settings that are secrets by their names are typed `Secret`. Their values, and passwords inside of URLs, show
    neither in the repr of the sink nor in its errors, with those that led to them, nor in logs of any level.
    """
    settings = describe_plugin(bench.plugin).get("settings", [])
    by_name = [one for one in settings if names_secret(one["key"].rpartition(".")[2]) and "text" in one["type"]]
    plain = [one["key"] for one in by_name if not one["secret"]]
    check(not plain, f"{', '.join(plain)}: secrets by their names; annotate with `Secret`, and `reveal()` them late")
    destination = bench.destination
    metas = [destination.meta(), *([destination.bad_login()] if can(destination, "bad_login") else [])]
    declared = {one["key"] for one in settings if one["secret"]}
    ear = Ear(set().union(*(secrets_in(meta, declared) for meta in metas)))
    with ear.listening():
        for meta in metas:
            made = _made(bench, meta)
            ear.hear("the sink's repr", f"{made!r} {made}")
            with _connecting(bench, ear, meta) as sink:
                _write(bench, ear, sink)
        if can(destination, "stop") and can(destination, "start"):
            with _connecting(bench, ear, metas[0]) as sink:
                destination.stop()
                _write(bench, ear, sink)
                with _connecting(bench, ear, metas[0]):
                    destination.start()


@contextmanager
def _connecting(bench: Bench, ear: Ear, meta: dict[str, Any]) -> Iterator[Sink]:
    """Let a sink connect, as far as it can; hear its error."""
    sink = bench.new(meta)
    try:
        with within(INIT_LIMIT + GRACE, "`init`"):
            came = answer(sink.init)
        ear.hear("an error of `init`", whole(came.error))
        yield sink
    finally:
        with suppress(Exception):
            sink.close()


def _write(bench: Bench, ear: Ear, sink: Sink) -> None:
    came = bench.write(sink, *bench.batch(3))
    ear.hear("an error of a write", f"{whole(came.error)} {came}")


def _made(bench: Bench, meta: dict[str, Any]) -> object:
    """Return what `new` returns, as it is."""
    new: Callable[..., object] = load(bench.installed).new
    return new(bench.settings(meta)) if inspect.signature(new).parameters else new()


@case("contract")
def unmarked_hook_is_refused(bench: Bench) -> None:
    """The sink opens, with all checks of its shape: its hooks are marked by @hookimpl and are plain functions, with
    exactly one `write_data`. No other method has nearly the name of a hook, for it would never be called.
    """
    bench.new()
    sink = _made(bench, bench.destination.meta())
    for name in dir(type(sink)):
        near = difflib.get_close_matches(name, HOOKS, 1, NEARLY)
        if near and near[0] != name and inspect.isroutine(inspect.getattr_static(sink, name)):
            raise Failed(f"`{name}` of {type(sink).__name__} is never called; did you mean the hook `{near[0]}`?")


@case("contract", alone=True)
def import_is_cheap(bench: Bench) -> None:
    """Importing the plugin's module opens no connection, writes no file, starts no thread or process, and prints
    nothing: it is imported to describe it, too.
    """
    did = watched.of_import(bench)
    check(not did, f"importing the plugin {', '.join(did)}; leave that to `init`, or to where it is needed")


@case("contract")
def init_then_close_without_write(bench: Bench) -> None:
    """A sink that was connected and has nothing to write closes without an error and leaves nothing there; another one
    then connects, and writes.
    """
    with connected(bench) as sink:
        came = sink.close()
        check(came.kind == "written", f"`close` after `init`, without a write between: {came}")
    bench.check_arrived([])
    records, ids = bench.batch(10)
    bench.must_write(bench.sink(), records, ids)
    bench.check_arrived(ids, once=bench.new().duplicates == "never")


@case("contract")
def close_is_idempotent(bench: Bench) -> None:
    """`close` may be called twice, and without `init`, as happens when a pump stops while it starts: nothing is raised
    and nothing is lost.
    """
    with elsewhere(bench) as sink:
        came = sink.close()
        check(came.kind == "written", f"`close` of a sink that was never connected: {came}; there is nothing to do")
    with connected(bench) as sink:
        records, ids = bench.batch(10)
        until_written(lambda: sink.write(records, ids), "a batch")
        for times in ("the first time", "the second time"):
            came = sink.close()
            check(came.kind == "written", f"`close`, {times}: {came}")
    bench.check_arrived(ids, once=bench.new().duplicates == "never")


@case("contract")
def two_instances_do_not_share_state(bench: Bench) -> None:
    """Two sinks in one process, each with a destination of its own, write in turn: each destination has all that its
    sink was given, the same records under the same ids too, and closing one sink leaves the other open.
    """
    places = [bench.destination, bench.another_destination()]
    sinks = [bench.sink(place.meta()) for place in places]
    expected: list[list[str]] = [[], []]
    for turn in range(3):
        common = bench.batch(5) if turn == 1 else None
        for number, sink in enumerate(sinks):
            records, ids = common or bench.batch(5, username=f"{number}-{turn}")
            bench.must_write(sink, records, ids)
            expected[number] += ids
    sinks[0].close()
    records, ids = bench.batch(5)
    bench.must_write(sinks[1], records, ids)
    expected[1] += ids
    for place, ids in zip(places, expected, strict=True):
        bench.check_arrived(ids, once=sinks[0].duplicates == "never", at=place)


def _tree(bench: Bench) -> set[str]:
    """Return the files and folders at the destination."""
    folder = bench.destination.folder
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}

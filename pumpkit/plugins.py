"""Sinks as plugins: found by entry-point name, checked before anything is written, called only from here.

Each pump has a plugin manager of its own, so a hook call reaches exactly that pump's plugin. pluggy returns `[]`
for a `write_data` that wrote, but also for one without its marker and for none at all; so a plugin's shape is
checked when it is opened, and any other answer than `[]` is an unknown verdict.
"""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal

import attrs
import pluggy

from pumpkit import hookspecs
from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import ConfigError, PumpkitError
from pumpkit.hookspecs import Predicate, Record, Records, Shorten

GROUP = "pumpkit"

#: Sinks of this project and the distribution that brings each.
KNOWN = {"csv": "pumpkit-csv", "mongo": "pumpkit-mongo", "elasticsearch": "pumpkit-es"}

#: Seconds one write may take if neither the configuration nor the plugin says.
DEFAULT_TIMEOUT = 10.0

HOOKS = ("init", "filters", "omit_detail", "timeout", "write_data", "close")


class PluginError(ConfigError):
    """A plugin that is missing, cannot be imported, or has not the shape of one."""


@attrs.frozen
class Plugin:
    """An installed plugin: its name (the pump's `type`), and the distribution that brings it."""

    name: str
    distribution: str
    version: str
    entry: EntryPoint = attrs.field(repr=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


def installed() -> dict[str, list[Plugin]]:
    """Return every installed plugin by name, without importing any; two under one name are both there."""
    found: dict[str, list[Plugin]] = {}
    for entry in entry_points(group=GROUP):
        dist = entry.dist
        about = (dist.name, dist.version) if dist else ("", "")  # None, where a broken installation lacks its metadata
        plugin = Plugin(entry.name, about[0] or "?", about[1] or "?", entry)
        same = found.setdefault(entry.name, [])
        # An editable install and its folder on sys.path can name one distribution twice.
        if all((plugin.distribution, entry.value) != (other.distribution, other.entry.value) for other in same):
            same.append(plugin)
    return found


def find(name: str) -> Plugin:
    """Return the plugin of that name. Raises PluginError if it is missing (with what to install) or there are two."""
    plugins = installed()
    match plugins.get(name, []):
        case [plugin]:
            return plugin
        case []:
            raise PluginError(f"no plugin {name!r} is installed{_advice(name, plugins)}")
        case several:
            raise PluginError(
                f"several plugins are named {name!r}: {', '.join(map(str, several))}; uninstall all but one"
            )


def _advice(name: str, plugins: Iterable[str]) -> str:
    if name in KNOWN:
        return f": pip install {KNOWN[name]}"
    near = difflib.get_close_matches(name, [*plugins, *KNOWN], 1)
    if near and near[0] in plugins:
        return f"; did you mean {near[0]!r}?"
    if near:
        return f"; did you mean {near[0]!r}? pip install {KNOWN[near[0]]}"
    return f"; installed are: {', '.join(sorted(plugins)) or 'none'}"


def load(plugin: Plugin) -> ModuleType:
    """Import a plugin and check that it offers `new`. Raises PluginError, whatever the import did."""
    try:
        module = plugin.entry.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"plugin {plugin} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(module, ModuleType):
        raise PluginError(f"plugin {plugin}: its entry point must name a module, not {plugin.entry.value!r}")
    new = getattr(module, "new", None)
    if new is None:
        raise PluginError(f"plugin {plugin} has no function `new(meta)`")
    if _marker(new) is None:
        raise PluginError(f"plugin {plugin}: `new` is not marked; add @hookimpl")
    return module


def _marker(function: object) -> dict[str, Any] | None:
    marks: dict[str, Any] | None = getattr(function, f"{hookspecs.PROJECT}_impl", None)
    return marks if isinstance(marks, dict) else None


class _Manager(pluggy.PluginManager):
    """A plugin manager that can be closed: nothing joins a pump once it runs."""

    closed = False

    def register(self, plugin: object, name: str | None = None) -> str | None:
        if self.closed:
            raise PluginError("a pump's plugins are fixed once it is open")
        return super().register(plugin, name)


class UnknownAnswer(PumpkitError):
    """`write_data` returned something: whether it wrote is unknown."""


class Sink:
    """One pump's plugin, the only caller of its hooks."""

    def __init__(self, config: PumpConfig, plugin: Plugin, manager: _Manager, sink: object) -> None:
        self.config = config
        self.plugin = plugin
        self._hook = manager.hook
        #: An ordered sink gets strict order, one worker, and its batches are never taken apart.
        self.ordered: bool = getattr(type(sink), "ordered", False)
        self.duplicates: Literal["never", "possible"] = getattr(sink, "duplicates", "never")

    @classmethod
    def open(cls, config: PumpConfig, meta: Meta) -> "Sink":
        """Make the sink of a configured pump and check its shape; no I/O. Raises ConfigError."""
        plugin = find(config.type)
        module = load(plugin)
        manager = _Manager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs.PluginSpecs)
        manager.add_hookspecs(hookspecs.SinkSpecs)
        try:
            manager.register(module, "pumpkit.plugin")
            _check_hooks(manager)
            _check_module(manager)
            sink = manager.hook.new(meta=meta)
            _check_sink(sink)
            manager.register(sink, "pumpkit.sink")
            _check_hooks(manager)
            _check_writer(manager)
        except PluginError as error:
            raise PluginError(f"plugin {plugin}: {error}") from error
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(f"plugin {plugin}: {type(error).__name__}: {error}") from error
        manager.closed = True
        return cls(config, plugin, manager, sink)

    def init(self) -> None:
        """Let the sink connect."""
        self._hook.init(config=self.config)

    def predicates(self) -> list[Predicate]:
        """Return what the plugin wants of records, beside the configuration."""
        answers: list[Predicate] = self._hook.filters(config=self.config)
        return [_callable(self.plugin, "filters", answer) for answer in answers]

    def omit_detail(self) -> Shorten | None:
        """Return how the plugin omits detail, if it says."""
        answer = self._hook.omit_detail(config=self.config)
        return None if answer is None else _callable(self.plugin, "omit_detail", answer)

    def timeout(self) -> float | None:
        """Return the seconds one write may take: configuration, else plugin, else 10. None: no limit (0 says so)."""
        seconds = self.config.timeout
        if seconds is None:
            seconds = self._hook.timeout(config=self.config)
        if seconds is None:
            return DEFAULT_TIMEOUT
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise PluginError(f"plugin {self.plugin}: timeout() returned {seconds!r}; it must be seconds, 0 or more")
        return float(seconds) or None

    def write(self, records: Records, ids: list[str], timeout: float | None, late: bool) -> None:
        """Write a batch, or raise what the sink raises. Raises UnknownAnswer if it returned anything."""
        answer = self._hook.write_data(records=records, ids=ids, timeout=timeout, late=late)
        if answer != []:
            raise UnknownAnswer(f"write_data returned {answer[0]!r:.80}; it must return nothing, or raise a verdict")

    def close(self) -> None:
        """Let the sink release what it took."""
        self._hook.close()


def _callable(plugin: Plugin, hook: str, answer: object) -> Callable[[Record], Any]:
    if not callable(answer) or inspect.iscoroutinefunction(answer):
        raise PluginError(
            f"plugin {plugin}: {hook}() returned {answer!r:.80}; it must be a plain function of a record, or None"
        )
    return answer


# What pluggy would accept in silence, or refuse without saying what to do -----------------------------------


def _check_module(manager: pluggy.PluginManager) -> None:
    for hook in HOOKS:
        if getattr(manager.hook, hook).get_hookimpls():
            raise PluginError(f"`{hook}` belongs to the sink that new() returns, not to the module")


def _check_sink(sink: object) -> None:
    """Look at what pluggy does not: hooks without their marker, and what is said of the sink's manners."""
    if sink is None:
        raise PluginError("new() returned None; it must return the sink")
    if isinstance(sink, type):
        raise PluginError(f"new() returned the class {sink.__name__}; it must return an object of it")
    name = type(sink).__name__
    for hook in HOOKS:
        found = inspect.getattr_static(sink, hook, None)
        function = getattr(found, "__func__", found)
        if callable(function) and _marker(found) is None and _marker(function) is None:
            raise PluginError(f"`{hook}` of {name} is not marked; add @hookimpl")
        if callable(function) and not inspect.isroutine(found):
            raise PluginError(f"`{hook}` of {name} is a {type(found).__name__}; it must be a method")
    for attribute, allowed in (("ordered", (True, False)), ("duplicates", ("never", "possible"))):
        if not hasattr(sink, attribute):
            continue
        said = getattr(type(sink), attribute, None)
        if isinstance(said, property) and attribute == "duplicates":  # where it depends on the settings
            said = getattr(sink, attribute)
        if said not in allowed:
            kind = "bool" if attribute == "ordered" else "str"
            raise PluginError(
                f"`{attribute}` of {name} must be one of {allowed} and stand in the class, as ClassVar[{kind}]"
            )


def _check_hooks(manager: pluggy.PluginManager) -> None:
    """Check every implementation that pluggy found."""
    for hook, caller in vars(manager.hook).items():
        if not isinstance(caller, pluggy.HookCaller):
            continue
        for impl in caller.get_hookimpls():
            if not caller.has_spec() and not impl.optionalhook:
                near = difflib.get_close_matches(hook, [*HOOKS, "new"], 1)
                raise PluginError(f"`{hook}` is no hook" + (f"; did you mean `{near[0]}`?" if near else ""))
            if impl.wrapper or impl.hookwrapper:
                raise PluginError(f"`{hook}` is a hook wrapper; wrappers are not supported")
            if inspect.iscoroutinefunction(impl.function) or inspect.isasyncgenfunction(impl.function):
                raise PluginError(f"`{hook}` is async; hooks are plain functions (run an event loop inside)")
            if inspect.isgeneratorfunction(impl.function):
                raise PluginError(f"`{hook}` is a generator; hooks are plain functions")
            for parameter in inspect.signature(impl.function).parameters.values():
                plain = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
                if not plain or parameter.default is not parameter.empty:
                    raise PluginError(
                        f"`{hook}` takes `{parameter}`, which is never passed; "
                        "name its arguments plainly, without a default or `*`"
                    )
    manager.check_pending()


def _check_writer(manager: pluggy.PluginManager) -> None:
    number = len(manager.hook.write_data.get_hookimpls())
    if number != 1:
        raise PluginError(f"the sink has {number or 'no'} `write_data`; it needs exactly one, marked with @hookimpl")

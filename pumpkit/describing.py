"""What a plugin is, looked at from inside a worker: only workers import plugins."""

import traceback
import typing
from collections.abc import Callable
from typing import Any

import attrs

from pumpkit import hookspecs, plugins
from pumpkit.config import ConfigInvalid, Meta, PumpConfig, describe
from pumpkit.errors import ConfigError, Unavailable


def describe_plugin(name: str) -> dict[str, Any]:
    """Return a plugin's distribution, version, hooks and settings, or `error`: what is wrong with it."""
    try:
        plugin = plugins.find(name)
        about = {"name": name, "distribution": plugin.distribution, "version": plugin.version}
    except plugins.PluginError as error:
        return {"name": name, "error": str(error)}
    try:
        sink = sink_class(plugins.load(plugin).new)
    except plugins.PluginError as error:
        return about | {"error": str(error)}
    if sink is None:
        return about | {"error": f"plugin {plugin}: annotate what `new` returns, and its settings can be described"}
    hooks = [hook for hook in plugins.HOOKS if hasattr(getattr(sink, hook, None), f"{hookspecs.PROJECT}_impl")]
    settings = [attrs.asdict(setting) for setting in describe(sink)] if attrs.has(sink) else []
    duplicates = getattr(sink, "duplicates", "never")
    return about | {
        "hooks": hooks,
        "settings": settings,
        "ordered": bool(getattr(sink, "ordered", False)),
        "duplicates": "depends" if isinstance(duplicates, property) else duplicates,
        "doc": (sink.__doc__ or "").partition("\n")[0].strip(),
    }


def sink_class(new: Any) -> type | None:
    """Return the class that the annotation of `new` names, whose settings are the plugin's."""
    try:
        sink = typing.get_type_hints(new).get("return")
    except Exception:  # a name that only a type checker can resolve
        return None
    return sink if isinstance(sink, type) else None


def find_problems(config: PumpConfig, meta: Meta) -> list[dict[str, Any]]:
    """Return what is wrong with a pump's plugin or meta, without connecting to anything."""
    return _open(config, meta)[1]


def try_sink(config: PumpConfig, meta: Meta, begin: Callable[[], None]) -> dict[str, Any]:
    """Let a pump's sink connect, once, and close it: `problems` as above, and `trial` if there are none.

    `begin` is called before plugin code that may wait. A trial has the `outcome` (see `checking.Trial`), its `reason`,
    the `plugin`, and whether it is `ordered`.
    """
    sink, problems = _open(config, meta)
    if sink is None:
        return {"problems": problems}
    begin()
    outcome, reason = _connect(sink)
    trial = {"outcome": outcome, "reason": reason, "plugin": str(sink.plugin), "ordered": sink.ordered}
    return {"problems": [], "trial": trial}


def _open(config: PumpConfig, meta: Meta) -> tuple[plugins.Sink | None, list[dict[str, Any]]]:
    try:
        sink = plugins.Sink.open(config, meta)
    except ConfigInvalid as error:
        return None, [attrs.asdict(problem) for problem in error.problems]
    except ConfigError as error:
        return None, [_problem(config, "type", str(error))]
    if sink.ordered and config.workers > 1:
        text = f"the sink {config.type} keeps records in order, so one worker delivers to it; set workers: 1"
        return None, [_problem(config, "workers", text)]
    return sink, []


def _problem(config: PumpConfig, key: str, text: str) -> dict[str, Any]:
    return {"path": f"pumps.{config.name}.{key}", "text": text, "file": "", "line": None}


def _connect(sink: plugins.Sink) -> tuple[str, str]:
    try:
        sink.init()
    except Unavailable as error:
        return "away", str(error)
    except (ConnectionError, TimeoutError) as error:
        return "away", f"{type(error).__name__}: {error}"
    except ConfigError as error:
        return "misconfigured", str(error)
    except (Exception, SystemExit) as error:
        return "broken", f"`init`: {type(error).__name__}: {error}"
    finally:
        try:
            sink.close()
        except (Exception, SystemExit):  # as in a worker, where everything it wrote is committed by then
            traceback.print_exc()
    return "good", ""

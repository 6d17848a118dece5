"""Which configuration and which buffer a command works on, and the options that say so."""

import difflib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from pumpkit.buffers.base import Buffer, CursorStats
    from pumpkit.config import Config

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Target:
    """What `--config` and `--buffer` say; the object of every click context."""

    def __init__(self) -> None:
        self.config_file: str | None = None
        self.buffer_url: str | None = None

    def config(self) -> "Config":
        """Load the configuration. Raises ConfigInvalid, for a missing file too."""
        from pumpkit.config.load import find_file, load

        return load(find_file(self.config_file))

    def config_if_any(self) -> "Config | None":
        """Load the configuration, or return None if there is none for this buffer.

        That is so when nobody named one and there is no ./pumpkit.yaml, or when a buffer was named without one: the
        pumps of whatever stands in the folder have nothing to do with it.
        """
        from pumpkit.config.load import find_file, load

        if self.buffer_url and not self.config_file:
            return None
        file = find_file(self.config_file)
        named = self.config_file or os.environ.get("PUMPKIT_CONFIG")
        return load(file) if named or file.exists() else None

    def url(self) -> str:
        """Return the buffer's URL: --buffer, else the configuration's, else the default one."""
        from pumpkit.buffers.registry import default_url

        if self.buffer_url:
            return self.buffer_url
        config = self.config_if_any()
        return (config.buffer.url if config else None) or default_url()

    @contextmanager
    def buffer(self) -> Iterator["Buffer"]:
        """Open the buffer, which must exist. Raises BufferUnavailable, BufferConfigError, ConfigInvalid."""
        from pumpkit.buffers import open_buffer

        with closing(open_buffer(self.url(), create=False)) as buffer:
            yield buffer


pass_target = click.make_pass_decorator(Target, ensure=True)


def _remember(attribute: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def callback(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        target = ctx.ensure_object(Target)
        if value is not None:
            setattr(target, attribute, value)

    return callback


def config_option(function: _Function) -> _Function:
    """Give a command the option --config."""
    option = click.option(
        "-c",
        "--config",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        expose_value=False,
        callback=_remember("config_file"),
        help="The configuration. Default: $PUMPKIT_CONFIG, else ./pumpkit.yaml.",
    )
    return option(function)


def buffer_options(function: _Function) -> _Function:
    """Give a command the options --config and --buffer."""
    option = click.option(
        "-b",
        "--buffer",
        metavar="URL",
        expose_value=False,
        callback=_remember("buffer_url"),
        help="The buffer, instead of a configuration's. Default: the configuration's, else $PUMPKIT_BUFFER, else the "
        "file in the XDG state directory.",
    )
    return config_option(option(function))


class PumpName(click.types.StringParamType):
    """The name of a pump. Completes the pumps of the configuration, and those the buffer knows besides."""

    name = "pump"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so; never fails, whatever is wrong with configuration or buffer."""
        target = ctx.find_object(Target) or Target()
        names: set[str] = set()
        for source in (_configured, _registered):
            try:
                names.update(source(target))
            except Exception:
                continue  # a message would land in the middle of the command line being typed
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def _configured(target: Target) -> Iterable[str]:
    config = target.config_if_any()
    return config.pumps if config else ()


def _registered(target: Target) -> Iterable[str]:
    with target.buffer() as buffer:
        return buffer.stats().cursors


def cursors(buffer: "Buffer", *pumps: str) -> dict[str, "CursorStats"]:
    """Return every pump's place in the buffer. Raises UsageError, with the nearest name, if one of `pumps` has none."""
    known = buffer.stats().cursors
    for pump in pumps:
        if pump not in known:
            raise click.UsageError(f"the buffer knows no pump {pump!r}{_nearest(pump, sorted(known))}")
    return known


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if known:
        return f"; it knows: {', '.join(known)}"
    return "; it knows none yet, because `pumpkit run` never ran on it"

"""`pumpkit completion`: the script that completes commands and pump names in a shell."""

import click
from click.shell_completion import get_completion_class

#: Where each shell looks for such scripts: the folder and the file.
_PLACES = {
    "bash": ("~/.local/share/bash-completion/completions", "pumpkit"),
    "zsh": ("~/.zfunc", "_pumpkit"),
    "fish": ("~/.config/fish/completions", "pumpkit.fish"),
}


def _how(shell: str) -> str:
    folder, file = _PLACES[shell]
    return f"mkdir -p {folder} && pumpkit completion {shell} > {folder}/{file}"


_EPILOG = "\b\nTo install it, then open a new shell:\n" + "".join(f"  {_how(shell)}\n" for shell in _PLACES)
_EPILOG += "\nzsh also needs `fpath+=~/.zfunc` before `compinit` in ~/.zshrc."


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(list(_PLACES)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script for completion in a shell.

    It completes commands, options and pump names. Those come from the configuration and the buffer that the command
    line names so far, or the default ones.
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click does not know the shell {shell!r}")
    script = found(ctx.find_root().command, {}, "pumpkit", "_PUMPKIT_COMPLETE").source()
    lines = script.splitlines()
    # zsh wants its `#compdef` in the first line of the file.
    first = lines.pop(0) if lines and lines[0].startswith("#compdef") else None
    comment = f"# To install: {_how(shell)}"
    click.echo("\n".join(line for line in (first, comment, *lines) if line is not None))

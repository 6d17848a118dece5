"""Shell completion: the scripts, and what they complete."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pumpkit.buffers import Buffer

Run = Callable[..., Result]


def completions(*words: str) -> list[str]:
    """Return what `pumpkit WORDS<TAB>` offers, as bash asks for it."""
    env = {
        **os.environ,
        "_PUMPKIT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["pumpkit", *words]),
        "COMP_CWORD": str(len(words)),
    }
    code = "from pumpkit.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return [line.partition(",")[2] for line in result.stdout.splitlines() if line]


def test_commands() -> None:
    """Commands, subcommands and options complete."""
    assert completions("re") == ["resume"]
    assert completions("dlq", "re") == ["replay"]
    assert "--watch" in completions("status", "--w")


def test_pumps_of_config(workplace: Path) -> None:
    """Pump names come from ./pumpkit.yaml, or the one that -c names."""
    meta = "{type: csv, meta: {csv-dir: x}}"
    (workplace / "pumpkit.yaml").write_text(f"pumps: {{audit: {meta}, search: {meta}}}\n")
    (workplace / "other.yaml").write_text(f"pumps: {{archive: {meta}}}\n")
    assert completions("pause", "a") == ["audit"]
    assert completions("pause", "''") == ["audit", "search"]
    assert completions("pause", "-c", "other.yaml", "a") == ["archive"]
    assert completions("dlq", "ls", "--pump", "s") == ["search"]


def test_pumps_of_buffer(url: str, buffer: Buffer) -> None:
    """So do those that only the buffer knows: the ones to drop."""
    buffer.register("orphan")
    assert completions("cursor", "drop", "-b", url, "o") == ["orphan"]


def test_nothing_can_be_read(workplace: Path) -> None:
    """A broken configuration and a missing buffer complete to nothing, silently."""
    (workplace / "pumpkit.yaml").write_text("pumps: [")
    assert completions("pause", "a") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(cli: Run, shell: str) -> None:
    """Each shell's script says how to install it; zsh's begins with the line that zsh looks for."""
    script = cli("completion", shell).output
    assert f"&& pumpkit completion {shell} > " in script
    assert "_PUMPKIT_COMPLETE" in script
    assert script.startswith("#compdef pumpkit" if shell == "zsh" else "# To install")


def test_bash_takes_its_script(cli: Run, tmp_path: Path) -> None:
    """bash reads the script and completes with it."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is missing; apt-get install bash")
    program = tmp_path / "pumpkit"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from pumpkit.cli import main; main()" "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "completion.bash"
    script.write_text(cli("completion", "bash").output)
    typed = "COMP_WORDS=(pumpkit sta); COMP_CWORD=1; _pumpkit_completion pumpkit; echo ${COMPREPLY[@]}"
    result = subprocess.run(
        [bash, "--norc", "-c", f". {script}; {typed}"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("status\n", "")


def test_unknown_shell(cli: Run) -> None:
    """Another shell exits with 2 and the ones there are."""
    result = cli("completion", "tcsh")
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr

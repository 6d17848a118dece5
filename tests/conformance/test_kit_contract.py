"""The cases of the contract find more faults than their mutants have."""

import itertools
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pumpkit.testing.bench import Bench
from pumpkit.testing.case import Failed, Result, run
from pumpkit.testing.cases import CASES
from pumpkit.testing.leaks import Ear, secrets_in, whole
from pumpkit.testing.readme import examples
from tests.conformance.destinations import ShelfDestination

#: A plugin with room for a fault in its module, and for one in its class.
PLUGIN = '''
import logging, os, socket, subprocess, sys
import attrs
from pumpkit import ConfigError, Meta, PumpConfig, Records, Secret, Unavailable, hookimpl, key
from tests.conformance.reference_sink import ReferenceSink

{module}

@attrs.define(eq=False)
class Sink(ReferenceSink):
    """The reference, with a fault."""

{body}

@hookimpl
def new(meta: Meta) -> Sink:
    return meta.into(Sink)
'''

#: Gives each plugin a name of its own.
NUMBERS = itertools.count()

#: What runs when a sink is made.
POST_INIT = "def __attrs_post_init__(self):\n    "


@pytest.fixture
def judge(installed: Callable[[Path], str], tmp_path: Path) -> Callable[..., Result]:
    """Run a case on a plugin with a fault."""

    def do(case: str, *, module: str = "", body: str = "pass") -> Result:
        file = tmp_path / f"faulty_{next(NUMBERS)}.py"  # a module of one name is imported once
        file.write_text(PLUGIN.format(module=module, body=textwrap.indent(body, "    ")))
        return run(CASES[case], Bench(installed(file), ShelfDestination, tmp_path))

    return do


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("print('hello')", "prints"),
        ("open(__file__ + '.log', 'a').close()", "for writing"),
        ("os.makedirs(__file__ + '.d')", "makes a directory"),
        ("subprocess.run([sys.executable, '-V'], check=True, capture_output=True)", "starts a process"),
        ("socket.socket().connect_ex(('127.0.0.1', 9))", "opens a connection (('127.0.0.1', 9))"),
        ("socket.getaddrinfo('localhost', 80)", "looks up the name of a host (localhost)"),
    ],
)
def test_importing_reaches_out(judge: Callable[..., Result], fault: str, words: str) -> None:
    """Whatever importing a plugin does to the world is told, with what it concerns."""
    result = judge("import_is_cheap", module=fault)
    assert result.outcome == "failed"
    assert words in result.reason


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("socket.socket().connect_ex(('127.0.0.1', 9))", "opens a connection"),
        ("import threading; threading.Thread(target=print).start()", "starts a thread"),
        ("raise RuntimeError('no luck')", "no luck"),
    ],
)
def test_making_a_sink_reaches_out(judge: Callable[..., Result], fault: str, words: str) -> None:
    """So is what `new` does; an error of it is told too."""
    result = judge("validate_is_pure", body=POST_INIT + fault)
    assert result.outcome == "failed"
    assert words in result.reason


def test_reading_files_and_null_are_no_fault(judge: Callable[..., Result]) -> None:
    """A plugin may read what it brings, and what is written to the null device is nowhere."""
    fault = "open(__file__).close(); open(os.devnull, 'w').close()"
    assert judge("import_is_cheap", module=fault).outcome == "passed"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("retries: int = 3", "retries: say what the setting is for"),
        ("names: list[str] = key(factory=tuple, about='Names.')", "printed as [], which is read as []"),
        ("pause: set = key(None, about='Pauses.')", "pause"),
    ],
)
def test_settings_that_do_not_describe_themselves(judge: Callable[..., Result], fault: str, words: str) -> None:
    """A setting without a word, and defaults that are not what they are printed as."""
    result = judge("config_schema_roundtrip", body=fault)
    assert result.outcome == "failed"
    assert words in result.reason


ASKED_IN_VAIN = """
@hookimpl
def init(self, config: PumpConfig) -> None:
    try:
        super(Sink, self).init(config)
    except (ConfigError, Unavailable) as error:
        {how}
"""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("api_key: str = key('', about='What lets us in.')", "api-key: secrets by their names"),
        ("def __repr__(self): return f'Sink({self.token.reveal()})'", "the sink's repr shows"),
        (ASKED_IN_VAIN.format(how="raise ConfigError(self.token.reveal()) from error"), "an error of `init` shows"),
        (ASKED_IN_VAIN.format(how="raise ConfigError('no') from ValueError(self.token.reveal())"), "an error of"),
        (ASKED_IN_VAIN.format(how="print(self.token.reveal())\n        raise"), "logged or printed"),
    ],
)
def test_secrets_show(judge: Callable[..., Result], fault: str, words: str) -> None:
    """A secret is found wherever it shows, and is not told again."""
    result = judge("secrets_never_in_repr_or_logs", body=fault)
    assert result.outcome == "failed"
    assert words in result.reason
    assert "wrong-0d1f" not in result.reason
    assert "open-sesame" not in result.reason


def test_secrets_of_settings() -> None:
    """Those declared, those named so at any depth, and passwords in URLs, as they are and percent-decoded."""
    meta = {
        "place": "db://me:p%40ssword@host/?authToken=abcdefgh",
        "deep": [{"client_secret": "s3cret-word"}],
        "dsn-of-mine": "hidden-word",
        "pin": "another-word",
        "token": "short",
        "api-key-id": "id-of-a-key",
        "token-file": "/run/token",
    }
    found = secrets_in(meta, {"pin"})
    assert found == {"p%40ssword", "p@ssword", "abcdefgh", "s3cret-word", "hidden-word", "another-word"}


def test_the_whole_of_an_error() -> None:
    """What led to an error is part of it, if a traceback shows that."""
    error = KeyError("outer")
    error.__context__ = ValueError("inner")
    error.add_note("a note")
    assert "inner" in whole(error)
    assert "a note" in whole(error)
    error.__suppress_context__ = True
    assert "inner" not in whole(error)
    error.__cause__ = ValueError("cause")
    assert "cause" in whole(error)


def test_no_secret_is_told() -> None:
    """The words show where it was, without it."""
    with pytest.raises(Failed, match=r"the log shows .*'Bearer \*\*\*, and more'") as caught:
        Ear({"open-sesame"}).hear("the log", "Bearer open-sesame, and more")
    assert "open-sesame" not in str(caught.value)


#: The README of a plugin `mine`: one block is an example, the other is not.
README = """\
# Mine

```yaml
jobs: []
```

- In a list:
  ```yaml title="pumpkit.yaml"
  pumps:
    one:
      type: mine
      meta: {a: "${NOWHERE}", b: "${file:/no/file}", c: "$${d}", e: "${NOWHERE:-5}"}
    two: {type: csv}
  ```
"""


def test_examples_of_a_readme(tmp_path: Path) -> None:
    """Blocks of YAML with `pumps:` are examples; what references without a default stand for is not looked for."""
    ((config, meta),) = examples(README, "mine", tmp_path)
    assert config.name == "one"
    assert meta.values == {"a": "1", "b": "1", "c": "${d}", "e": "5"}
    assert examples(README, "other", tmp_path) == []


def test_an_example_that_is_no_configuration(tmp_path: Path) -> None:
    """The words say which, and what is wrong."""
    with pytest.raises(Failed, match=r"example in line 3 of the README is not valid: (.|\n)*typ"):
        examples("# Mine\n\n```yaml\npumps:\n  one: {typ: mine}\n```\n", "mine", tmp_path)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("def timeout(self, config): return 3", "`timeout` of Sink is not marked"),
        ("def timeouts(self, config): return 3", "did you mean the hook `timeout`?"),
    ],
)
def test_hooks_that_are_none(judge: Callable[..., Result], fault: str, words: str) -> None:
    """A hook without its marker, and one with the wrong name."""
    result = judge("unmarked_hook_is_refused", body=fault)
    assert result.outcome == "failed"
    assert words in result.reason

"""The arguments of a reporter."""

import inspect
import os
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from pumpkit import Reporter
from pumpkit.buffers.registry import GROUP
from pumpkit.reporter.settings import SCHEMES, Options, Settings
from pumpkit.reporter.spill import file_for


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"buffer": "buffer.db"}, ["buffer='buffer.db'", "a URL"]),
        ({"buffer": 7}, ["buffer=7", "a URL"]),
        ({"buffer": "sqlte:///x.db"}, ["no buffer serves 'sqlte:' URLs", "did you mean sqlite:?"]),
        ({"buffer": "https://user:secret@host"}, ["no buffer serves 'https:' URLs", "'redis'"]),
        ({"source": "x" * 65}, ["source=", "64 printable characters"]),
        ({"source": None}, ["source=None"]),
        ({"enabled": "false"}, ["enabled='false'", "True or False"]),
        ({"records_buffer_size": 0}, ["records_buffer_size=0", "1 or more"]),
        ({"records_buffer_size": True}, ["records_buffer_size=True"]),
        ({"records_buffer_size": 1.5}, ["records_buffer_size=1.5"]),
        ({"buffer_bytes": -1}, ["buffer_bytes=-1"]),
        ({"flush_interval": float("nan")}, ["flush_interval=nan", "seconds"]),
        ({"flush_interval": float("inf")}, ["flush_interval=inf"]),
        ({"flush_interval": "200ms"}, ["flush_interval='200ms'"]),
        ({"exit_timeout": 10**400}, ["exit_timeout=1000", "seconds"]),
        ({"block_timeout": 10**400}, ["block_timeout=1000", "seconds"]),
        ({"pool_size": 0}, ["pool_size=0"]),
        ({"overflow": "drop"}, ["overflow='drop'", "drop-newest", "drop-oldest", "block"]),
        ({"block_timeout": -0.1}, ["block_timeout=-0.1"]),
        ({"max_record_bytes": 2 << 20}, ["max_record_bytes=2097152", "at most 1048576"]),
        ({"exit_timeout": None}, ["exit_timeout=None"]),
        ({"common": 3}, ["common=3", "mapping"]),
        ({"common": {1: 2}}, ["common={1: 2}", "str keys"]),
        ({"common": {"a": object()}}, ["common=", "field 'a'"]),
        ({"common": {"a": "x" * 70_000}}, ["common=", "61440"]),
        ({"common": {"a": ["b"]}}, ["common=", "no lists and no maps"]),
        ({"common": {f"f{n}": n for n in range(65)}}, ["common=", "64 fields"]),
        ({"confirm": "written"}, ["confirm='written'", "stored", "synced", "replicated"]),
        ({"resend_window": -1}, ["resend_window=-1", "seconds"]),
        ({"resend_window": "10s"}, ["resend_window='10s'"]),
        ({"resend_bytes": -1}, ["resend_bytes=-1", "0 or more"]),
        ({"resend_bytes": 1.5}, ["resend_bytes=1.5"]),
        ({"source": "two\nlines"}, ["source=", "printable"]),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_and_what_it_may_be(
    options: dict[str, Any], words: list[str]
) -> None:
    """Each wrong argument raises ValueError, and the message says which, what it was and what it must be."""
    with pytest.raises(ValueError) as caught:
        Reporter(**options)
    for word in words:
        assert word in str(caught.value)


def test_the_schemes_that_are_known_are_those_that_pumpkit_serves() -> None:
    """What a reporter takes without looking for it is what the package has entry points for, no more and no less."""
    served = distribution("pumpkit").entry_points.select(group=GROUP)
    assert {point.name for point in served} == SCHEMES


def test_a_buffer_of_another_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme is refused only if nothing that is installed serves it; what does is not imported for that."""
    with pytest.raises(ValueError, match="no buffer serves 'shelf:' URLs"):
        Reporter("shelf:one")
    assert Reporter("shelf:one", enabled=False).close() == (0, 0, 0)
    (tmp_path / "shelf-1.dist-info").mkdir()
    (tmp_path / "shelf-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1\n")
    (tmp_path / "shelf-1.dist-info" / "entry_points.txt").write_text("[pumpkit.buffers]\nshelf = no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert Reporter("shelf:one").close() == (0, 0, 0)


def test_a_larger_pool_is_ignored_with_a_warning_at_the_callers_line() -> None:
    """pool_size above 1 warns, saying why, and points at the code that asked for it."""
    with pytest.warns(UserWarning, match="one thread sends") as caught:
        Reporter(pool_size=50)
    assert caught[0].filename == __file__


def test_a_relative_file_is_fixed_when_the_reporter_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changing the working directory later does not change the buffer; other URLs stay as they are."""
    monkeypatch.chdir(tmp_path)
    assert Settings("sqlite:///a.db?force-network=1").checked().buffer == f"sqlite:///{tmp_path}/a.db?force-network=1"
    for url in ("sqlite:////tmp/a.db", "sqlite:///", "sqlite:///:memory:", "sqlite:///~/a", "redis://h/0", "sqlite:a"):
        assert Settings(url).checked().buffer == url
    assert os.getcwd() == str(tmp_path)


def test_a_relative_file_in_the_environment_is_fixed_when_the_program_begins(program: Any) -> None:
    """A daemon that goes to another folder reports where it would have reported before, its children too."""
    program.environment["PUMPKIT_BUFFER"] = "sqlite:///buffer.db"
    program.run(
        """
        import os, pumpkit
        os.mkdir("elsewhere")
        os.chdir("elsewhere")
        pumpkit.record({"n": 0})
        pumpkit.flush(30)
        if os.fork():
            os.wait()
        else:
            pumpkit.record({"n": 1})
            pumpkit.flush(30)
            os._exit(0)
        """
    )
    assert [record["n"] for record in program.records()] == [0, 1]
    assert os.listdir(program.folder / "elsewhere") == []


def test_a_spill_file_is_named_after_the_whole_path_of_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs in two folders whose environment names the same relative path have two buffers."""
    monkeypatch.setenv("PUMPKIT_BUFFER", "sqlite:///a.db")
    assert file_for(None, "/spill") == file_for(f"sqlite:///{os.getcwd()}/a.db", "/spill")


def test_a_program_whose_folder_was_removed_may_import_the_reporter(program: Any) -> None:
    """Only a relative path needs to know where it starts."""
    program.run(
        """
        import os
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
        import pumpkit
        pumpkit.record({"n": 0})
        """
    )
    assert [record["n"] for record in program.records()] == [0]


def test_common_fields_are_what_the_wire_makes_of_them() -> None:
    """Common fields are converted and copied when the reporter is made."""
    given = {"path": Path("/etc"), "zone": "a"}
    settings = Settings(common=given).checked()
    given["zone"] = "b"
    assert settings.common == {"path": "/etc", "zone": "a"}


def test_reporter_settings_and_options_name_the_same_arguments() -> None:
    """The three places that list the arguments agree, in names and defaults."""
    signature = inspect.signature(Reporter.__init__).parameters
    arguments = {name: parameter.default for name, parameter in signature.items() if name != "self"}
    assert arguments == Settings()._asdict()
    assert list(arguments) == list(Options.__annotations__)

"""`pumpkit plugins ls`, with the plugins that are really installed."""

import json
from collections.abc import Callable

from click.testing import Result

Run = Callable[..., Result]


def test_ls(cli: Run) -> None:
    """An installed plugin is shown with version, hooks and settings, as text and as JSON."""
    text = cli("plugins", "ls", "t-file").output
    assert text.startswith("t-file  ")
    assert "hooks: init, filters, omit_detail, write_data, close" in text
    assert "    path: " in text
    [report] = json.loads(cli("plugins", "ls", "t-file", "--json").output)
    assert (report["installed"], report["error"]) == (True, "")
    assert "path" in [setting["key"] for setting in report["settings"] if setting["required"]]


def test_broken_ones(cli: Run) -> None:
    """A plugin that cannot be imported, or that ends its process, is told of and harms no other."""
    reports = json.loads(cli("plugins", "ls", "t-import-error", "t-import-exit", "t-file", "--json").output)
    errors = {report["name"]: report["error"] for report in reports}
    assert errors["t-import-error"]
    assert errors["t-import-exit"]
    assert errors["t-file"] == ""
    assert "broken: " in cli("plugins", "ls", "t-import-error").output


def test_missing_ones(cli: Run) -> None:
    """A known plugin that is not installed comes with the line that installs it."""
    [report] = json.loads(cli("plugins", "ls", "elasticsearch", "--json").output)
    if not report["installed"]:
        assert report["install"] == "pip install pumpkit-es"
        assert "elasticsearch  not installed; pip install pumpkit-es" in cli("plugins", "ls", "elasticsearch").output


def test_unknown(cli: Run) -> None:
    """An unknown name exits with 2 and the nearest one."""
    result = cli("plugins", "ls", "t-fille")
    assert result.exit_code == 2
    assert "did you mean 't-file'?" in result.stderr

"""Loading text as a configuration file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pumpkit.config import Config, ConfigInvalid
from pumpkit.config.load import load


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[[str], Config]:
    """Return a function that loads text as `pumpkit.yaml` in `tmp_path`."""

    def config_of(text: str) -> Config:
        file = tmp_path / "pumpkit.yaml"
        file.write_text(text)
        return load(file)

    return config_of


@pytest.fixture
def problems_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], list[str]]:
    """Return a function that loads text as `pumpkit.yaml`, and returns its problems as they are printed."""
    monkeypatch.chdir(tmp_path)

    def problems_of(text: str | bytes) -> list[str]:
        file = Path("pumpkit.yaml")
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigInvalid) as caught:
            load(file)
        printed = [str(problem) for problem in caught.value.problems]
        assert str(caught.value) == "\n".join(printed)
        return printed

    return problems_of

"""Runs that only pretend, and study files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.study.toy import pretend


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs only pretend; gives the list of those that were run, as `data arm seed`."""
    return pretend(monkeypatch, lambda config: None)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a study file."""

    def write(text: str) -> Path:
        path = tmp_path / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write

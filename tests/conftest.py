"""For all tests: a cache of their own. For those that look at pages: a browser and axe-core.

The latter are skipped, with the reason, where either cannot be had.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Tab, browser, find_browser
from check_browser import Skipped, axe_source


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is kept in the user's cache, and nothing found there."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TSYND_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine")
    with browser(path) as tab:
        yield tab


@pytest.fixture(scope="session")
def axe() -> str:
    try:
        return axe_source()
    except Skipped as reason:
        pytest.skip(str(reason))

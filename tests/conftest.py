"""A browser and axe-core for the tests that look at pages; these are skipped, with the reason, where either cannot be had."""

from collections.abc import Iterator

import pytest
from browser import Tab, browser, find_browser
from check_browser import Skipped, axe_source


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

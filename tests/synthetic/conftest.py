"""Runs here are tiny."""

import pytest


@pytest.fixture(autouse=True)
def _tiny(tiny_budget: None) -> None: ...

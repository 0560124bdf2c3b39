"""For all tests: a cache of their own, the real files, a server, a finished run, and a browser.

A test is skipped, with the reason, where the real files or a browser with axe-core cannot be had.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from browser import Tab, browser, find_browser
from check_browser import Skipped, axe_source

import tsynd
from tests.servers import Server, running
from tsynd import cli
from tsynd.runs import config as configuration
from tsynd.runs.config import Budget, Evaluation, RunConfig
from tsynd.runs.run import Run
from tsynd.training import Recipe

TINY = Recipe(steps=12, batch_size=16, refresh_count=8, refresh_every=4, capacity=16, samples=8, autoencoder_steps=10)
TINY_BUDGET = Budget(TINY, Evaluation(draws=1, attack_steps=1, limit=10))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device: make test-gpu runs it on a machine that has one"))


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


@pytest.fixture
def real() -> Path:
    """The first folder in TSYND_DATA that holds the official files; the test is skipped without one."""
    for folder in os.environ.get("TSYND_DATA", "").split(os.pathsep):
        if folder and (Path(folder) / "breastmnist.npz").is_file():
            return Path(folder)
    pytest.skip("needs the official MedMNIST files: set TSYND_DATA to their folder")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine that behaves as its addresses say."""
    with running() as server:
        yield server


@pytest.fixture
def tiny_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget `smoke` takes two seconds."""
    monkeypatch.setitem(configuration.BUDGETS, "smoke", TINY_BUDGET)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are not drawn, which takes most of the time of a tiny run."""
    monkeypatch.setattr("tsynd.runs.report.page.write_report", lambda path, run: path.write_text("<html></html>\n"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run: tiny, guarded, on phantoms."""
    out = tmp_path_factory.mktemp("run") / "guarded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration.BUDGETS, "smoke", TINY_BUDGET)
        tsynd.run(RunConfig("phantom:count=30", per_class=20, budget="smoke", device="cpu"), out)
    return out


@pytest.fixture(scope="session")
def finished(folder: Path) -> Run:
    return tsynd.load_run(folder)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tsynd", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return call

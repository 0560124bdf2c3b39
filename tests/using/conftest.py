"""A finished run that the tests of its use share: tiny, guarded, on phantoms."""

from collections.abc import Callable
from pathlib import Path

import pytest

import tsynd
from tsynd import cli
from tsynd import config as configuration
from tsynd.config import Budget, Evaluation, RunConfig
from tsynd.runs import Run
from tsynd.training import Recipe

TINY = Recipe(steps=12, batch_size=16, refresh_count=8, refresh_every=4, capacity=16, samples=8, autoencoder_steps=10)


@pytest.fixture(autouse=True)
def tiny_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(configuration.BUDGETS, "smoke", Budget(TINY, Evaluation(draws=1, attack_steps=1, limit=10)))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "guarded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration.BUDGETS, "smoke", Budget(TINY, Evaluation(draws=1, attack_steps=1, limit=10)))
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

"""What a study survives: killed workers, a cluster that loses one (a call that is killed: `tests/test_faults.py`)."""

import importlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.study.toy import few, pretend, study
from tsynd.study import run_study
from tsynd.study import runner as running_module
from tsynd.study.plan import Planned, Study, Tier
from tsynd.study.records import read_records
from tsynd.study.runner import run_block
from tsynd.utils.progress import Step

pytestmark = pytest.mark.deep

TINY = {"steps": 6, "batch_size": 8, "refresh_every": 2, "refresh_count": 4, "capacity": 8, "samples": 4, "autoencoder_steps": 4}
EVALUATION = {"draws": 1, "attack_steps": 1}


def dangerous(tmp_path: Path, arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs only pretend, in workers too; that of one arm kills its process."""
    log = tmp_path / "log"

    def in_worker(folder: Path, block: list[Planned], attempt: str) -> None:
        from tests.study.toy import answered
        from tsynd.study import runner

        def run(config: Any, **_: Any) -> Any:
            with log.open("a") as file:
                file.write(f"{config.arm} {config.seed}\n")
            if config.arm == arm and config.seed == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.05)
            return answered(config)

        with pytest.MonkeyPatch.context() as patch:  # the next study may get the same process
            patch.setattr(runner, "run", run)
            run_block(folder, block, attempt)

    monkeypatch.setattr(running_module, "run_block", in_worker)


def arms(**changed: Any) -> Study:
    return study(sets=(("phantom", 20),), without=["far"], more={"mixup": ("mixup", {}), "sham": ("sham", {})}, **changed)


def test_a_worker_that_is_killed_is_recorded_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dangerous(tmp_path, "guarded", monkeypatch)
    counts = run_study(arms(seeds=(0, 1, 2)), tmp_path / "study", jobs=2)
    assert counts == {"done": 11, "failed": 1, "missing": 0}
    (failed,) = (record for record in read_records(tmp_path / "study") if record["status"] == "failed")
    assert (failed["arm"], failed["seed"]) == ("guarded", 1)
    assert "killed" in failed["error"]
    log = (tmp_path / "log").read_text().splitlines()
    assert log.count("guarded 1") == 2  # once with others, once alone
    assert max(log.count(line) for line in log) == 2


def test_a_run_without_memory_is_recorded_in_one_line_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [MemoryError(), RuntimeError("[enforce fail]\n  can't allocate memory")]
    pretend(monkeypatch, lambda config: plant(errors) if config.arm == "guarded" else None)
    assert run_study(arms(), tmp_path) == {"done": 6, "failed": 2, "missing": 0}
    failed = {record["error"] for record in read_records(tmp_path) if record["status"] == "failed"}
    assert failed == {"MemoryError", "RuntimeError: [enforce fail] can't allocate memory"}
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 9
    pretend(monkeypatch, lambda config: None)
    assert run_study(arms(), tmp_path) == {"done": 8, "failed": 0, "missing": 0}


def plant(errors: list[Exception]) -> None:
    raise errors.pop()


def test_arms_of_a_block_share_one_autoencoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks: Any = importlib.import_module("tsynd.runs.networks")
    trained: list[int] = []
    real = networks.train_autoencoder

    def counted(*given: Any, **settings: Any) -> list[float]:
        trained.append(settings["seed"])
        return real(*given, **settings)

    monkeypatch.setattr(networks, "train_autoencoder", counted)
    tier = Tier("all", ((str(few(tmp_path)), 8),), (0, 1), {name: (name, {}) for name in ("none", "guarded", "random")})
    run_study(Study("toy", (tier,), budget="smoke", changes=TINY | EVALUATION), tmp_path / "study")
    assert trained == [0, 1]


def test_a_cluster_that_loses_a_worker_half_way_finishes_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")
    dangerous(tmp_path, "nobody", monkeypatch)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        told: list[Step] = []
        victim = next(iter(cluster.workers.values()))

        def kill_half_way(step: Step) -> None:
            told.append(step)
            if len(told) == 3:
                os.kill(victim.pid, signal.SIGKILL)

        monkeypatch.setattr(running_module, "POLL", 0.05)
        address = cluster.scheduler_address
        counts = run_study(
            arms(seeds=tuple(range(8))), tmp_path / "study", backend="dask", scheduler=address, progress=kill_half_way
        )
    assert counts == {"done": 32, "failed": 0, "missing": 0}
    assert all(" left; " in step.text for step in told), "time left on a cluster, too"
    log = (tmp_path / "log").read_text().splitlines()
    assert len(set(log)) == 32
    assert len(log) <= 33, "only what the killed worker was at is run again"


def test_no_scheduler_answers(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")
    from tsynd.errors import TsyndError

    with pytest.raises(TsyndError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        run_study(arms(), tmp_path / "study", backend="dask", scheduler="tcp://127.0.0.1:9")

"""What a study survives: killed workers, a killed call, a cluster that loses a worker."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.study.toy import study
from tsynd.study import read_records, run_study
from tsynd.study import running as running_module
from tsynd.study.blocks import run_block
from tsynd.study.plan import Planned, Study, Tier

TINY = {"steps": 6, "batch_size": 8, "refresh_every": 2, "refresh_count": 4, "capacity": 8, "samples": 4, "autoencoder_steps": 4}
EVALUATION = {"draws": 1, "attack_steps": 1}


def dangerous(tmp_path: Path, arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs only pretend, in workers too; that of one arm kills its process."""
    log = tmp_path / "log"

    def in_worker(folder: Path, block: list[Planned], attempt: str) -> None:
        from tests.study.toy import answered
        from tsynd.study import blocks

        def run(config: Any, **_: Any) -> Any:
            with log.open("a") as file:
                file.write(f"{config.arm} {config.seed}\n")
            if config.arm == arm and config.seed == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.05)
            return answered(config)

        blocks.run = run  # type: ignore[assignment, attr-defined]
        run_block(folder, block, attempt)

    monkeypatch.setattr(running_module, "run_block", in_worker)


def few(folder: Path) -> Path:
    """A set of few images: 12 a class to train on, 4 to test on."""
    random, arrays = np.random.default_rng(0), dict[str, np.ndarray]()
    for split, count in (("train", 24), ("val", 4), ("test", 8)):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 2)[:, None]
    np.savez(folder / "few.npz", allow_pickle=False, **arrays)
    return folder / "few.npz"


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


def test_a_call_that_is_killed_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    """SIGKILL at several moments, until it is through; then the same numbers as in one go."""
    tiers = {"sets": [{"data": str(few(tmp_path)), "per_class": 8}], "seeds": "0-1", "arms": ["none", "guarded", "mixup"]}
    file = tmp_path / "tiny.yaml"
    file.write_text(json.dumps({"name": "tiny", "budget": "smoke", "changes": TINY | EVALUATION, "tiers": [tiers]}))
    command = [sys.executable, "-c", "from tsynd.cli import main; main()", "study", "run", str(file), "--quiet", "--out"]

    kills, seen = 0, dict[str, bytes]()
    while True:
        call = subprocess.Popen([*command, str(tmp_path / "killed")], start_new_session=True)
        try:
            assert call.wait(timeout=4 + 1.3 * kills) == 0
            break
        except subprocess.TimeoutExpired:
            os.killpg(call.pid, signal.SIGKILL)
            call.wait()
            kills += 1
        now = {path.name: path.read_bytes() for path in (tmp_path / "killed/runs").glob("[!.]*.json")}
        assert {name: now.get(name) for name in seen} == seen, "a finished run was lost or run again"
        assert all(json.loads(text)["status"] == "done" for text in now.values())
        seen = now
        assert kills < 40
    assert kills > 0
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert len(results(tmp_path / "whole")) == 6


def results(folder: Path) -> dict[str, Any]:
    """Metrics without times, and answers."""
    found = {}
    for record in read_records(folder):
        metrics = {name: value for name, value in record["metrics"].items() if name != "seconds"}
        with np.load(folder / "runs" / f"{record['key']}.npz") as answers:
            found[record["key"]] = json.dumps(metrics), {name: answers[name].tolist() for name in answers.files}
    return found


def test_arms_of_a_block_share_one_autoencoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline: Any = importlib.import_module("tsynd.pipeline")

    trained: list[int] = []
    real = pipeline.train_autoencoder

    def counted(*given: Any, **settings: Any) -> list[float]:
        trained.append(settings["seed"])
        return real(*given, **settings)

    monkeypatch.setattr(pipeline, "train_autoencoder", counted)
    tier = Tier("all", ((str(few(tmp_path)), 8),), (0, 1), {name: (name, {}) for name in ("none", "guarded", "random")})
    run_study(Study("toy", (tier,), budget="smoke", changes=TINY | EVALUATION), tmp_path / "study")
    assert trained == [0, 1]


def test_a_cluster_that_loses_a_worker_half_way_finishes_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")
    dangerous(tmp_path, "nobody", monkeypatch)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        told: list[int] = []
        victim = next(iter(cluster.workers.values()))

        def kill_half_way(done: int, total: int, left: float | None, record: Any) -> None:
            told.append(done)
            if len(told) == 3:
                os.kill(victim.pid, signal.SIGKILL)

        monkeypatch.setattr(running_module, "POLL", 0.05)
        address = cluster.scheduler_address
        counts = run_study(
            arms(seeds=tuple(range(8))), tmp_path / "study", backend="dask", scheduler=address, progress=kill_half_way
        )
    assert counts == {"done": 32, "failed": 0, "missing": 0}
    log = (tmp_path / "log").read_text().splitlines()
    assert len(set(log)) == 32
    assert len(log) <= 33, "only what the killed worker was at is run again"


def test_no_scheduler_answers(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed (extra dask)")
    from tsynd.errors import TsyndError

    with pytest.raises(TsyndError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        run_study(arms(), tmp_path / "study", backend="dask", scheduler="tcp://127.0.0.1:9")

"""Running a study: nothing twice, nothing lost, one failure does not stop the others."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.study.toy import pretend, study
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.runs.config import RunConfig
from tsynd.study import run_study
from tsynd.study.records import read_records
from tsynd.study.runner import _step, seconds_left
from tsynd.study.table import COLUMNS
from tsynd.utils.progress import Step


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_run_is_recorded_with_its_answers_and_stands_in_the_table(tmp_path: Path, ran: list[str]) -> None:
    assert run_study(study(), tmp_path) == {"done": 12, "failed": 0, "missing": 0}
    assert len(ran) == 12
    table = pd.read_csv(tmp_path / "runs.csv")
    assert tuple(table.columns) == COLUMNS
    assert list(table.key) == sorted(path.stem for path in (tmp_path / "runs").glob("*.json"))
    row = table[(table.arm == "far") & (table.seed == 1) & (table.data == "phantom")].iloc[0]
    assert (row.status, row.per_class, row["size"]) == ("done", 20, 28)
    assert row.auroc == row.augmented == row.pgd_2_255 == pytest.approx(1.7)
    assert row.corrupted == pytest.approx(2.2)
    assert row.seconds == 6
    assert np.isnan(row.subgroup)
    record = json.loads((tmp_path / "runs" / f"{row.key}.json").read_text())
    assert record["config"]["recipe"]["radius"] == 0.5
    assert record["cpu"]
    assert record["elapsed"] >= 0
    with np.load(tmp_path / "runs" / f"{row.key}.npz", allow_pickle=False) as answers:
        assert answers["augmented"].tolist() == [0, 0.5, 1]
        assert answers["corrupted"].tolist() == [0.5, 0.75, 1]
        assert answers["pgd_2_255"].dtype == bool
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "runs.csv", "study.yaml"]


def test_what_is_done_is_never_run_again_and_what_is_added_is(tmp_path: Path, ran: list[str]) -> None:
    run_study(study(seeds=(0,)), tmp_path)
    before = files(tmp_path / "runs")
    ran.clear()
    run_study(study(more={"mixup": ("mixup", {})}), tmp_path)
    assert len(ran) == 2 * 4 + 2
    after = files(tmp_path / "runs")
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"budget": "cpu"}, "other defaults (budget: 'smoke', not 'cpu'"),
        ({"changes": {"radius": 0.3}}, "recipe.radius: 0.25, not 0.3"),
        ({"changes": {"draws": 3}}, "evaluation.draws: 2, not 3"),
        ({"primaries": ("auroc",)}, "primaries: ['auroc', 'augmented', 'pgd_2_255'], not ['auroc']"),
        ({"without": ["far"]}, "a run that the study file does not name, or has changed (phantom"),
        ({"seeds": (0,)}, "a run that the study file does not name, or has changed (phantom"),
        ({"more": {"far": ("guarded", {"radius": 0.6})}}, "arm far)"),
    ],
)
def test_a_changed_study_is_refused_and_nothing_is_written(
    tmp_path: Path, ran: list[str], changed: dict[str, Any], words: str
) -> None:
    run_study(study(), tmp_path)
    before = files(tmp_path)
    with pytest.raises(TsyndError) as caught:
        run_study(study(**changed), tmp_path)
    assert words in str(caught.value)
    assert files(tmp_path) == before


def test_a_record_of_another_method_version_is_named(tmp_path: Path, ran: list[str]) -> None:
    run_study(study(), tmp_path)
    path = next((tmp_path / "runs").glob("*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"method_version": 2}))
    with pytest.raises(TsyndError, match=r"holds a run of method version 2, this tsynd has version \d+ \(phantom.*seed \d, arm"):
        run_study(study(), tmp_path)


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path, ran: list[str]) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(TsyndError, match="is not empty and holds no study"):
        run_study(study(), tmp_path)
    assert files(tmp_path) == {"thesis.tex": b"years of work"}
    with pytest.raises(TsyndError, match="is a file: name a folder"):
        run_study(study(), tmp_path / "thesis.tex")


def test_a_run_that_fails_is_recorded_stops_no_other_and_is_tried_again_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: RunConfig) -> None:
        if broken and config.arm == "none" and config.seed == 1:
            raise RuntimeError("planted")

    broken = True
    pretend(monkeypatch, fail)
    assert run_study(study(), tmp_path) == {"done": 10, "failed": 2, "missing": 0}
    failed = [record for record in read_records(tmp_path) if record["status"] == "failed"]
    assert [record["error"] for record in failed] == ["RuntimeError: planted"] * 2
    table = pd.read_csv(tmp_path / "runs.csv")
    assert table[table.status == "failed"].auroc.isna().all()
    broken = False
    names = pretend(monkeypatch, fail)
    assert run_study(study(), tmp_path) == {"done": 12, "failed": 0, "missing": 0}
    assert sorted(names) == ["phantom none 1", "phantom:seed=1 none 1"]


def test_a_missing_set_is_marked_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(config: RunConfig) -> None:
        if config.data == "phantom:seed=1":
            raise DataUnavailable("phantom:seed=1 is nowhere")

    pretend(monkeypatch, lack)
    assert run_study(study(), tmp_path) == {"done": 6, "failed": 0, "missing": 6}
    assert {record["error"] for record in read_records(tmp_path) if record["status"] == "missing"} == {
        "phantom:seed=1 is nowhere"
    }


def test_a_full_disk_ends_the_call_and_the_next_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(config: RunConfig) -> None:
        if config.seed == 1:
            raise OSError(28, "No space left on device")

    pretend(monkeypatch, full)
    with pytest.raises(OSError, match="No space left"):
        run_study(study(), tmp_path)
    assert len(pd.read_csv(tmp_path / "runs.csv")) == 6
    names = pretend(monkeypatch, lambda config: None)
    assert run_study(study(), tmp_path)["done"] == 12
    assert len(names) == 6


def test_two_calls_on_one_folder_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = pretend(monkeypatch, lambda config: time.sleep(0.02))
    calls = [threading.Thread(target=run_study, args=(study(seeds=tuple(range(6))), tmp_path)) for _ in range(2)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert len(names) == 6 * 2 * 3
    assert len({record["attempt"] for record in read_records(tmp_path)}) == 2


def test_progress_tells_of_each_run_and_of_the_time_left(tmp_path: Path, ran: list[str]) -> None:
    told: list[Step] = []
    run_study(study(), tmp_path, progress=told.append)
    assert {(step.stage, step.total) for step in told} == {("study", 12)} and len(told) == 12
    assert told[-1].done == 12
    assert told[-1].text.startswith("under 1 min left; ")


@pytest.mark.parametrize(
    ("left", "changed", "text"),
    [
        (None, {}, "phantom, 20 per class, seed 0, tsynd: done"),
        (7200.0, {}, "2.0 h left; phantom, 20 per class, seed 0, tsynd: done"),
        (
            50.0,
            {"status": "failed", "error": "ValueError: [x]"},
            "under 1 min left; phantom, 20 per class, seed 0, tsynd: failed (ValueError: [x])",
        ),
    ],
)
def test_what_is_told_of_a_run(left: float | None, changed: dict[str, Any], text: str) -> None:
    record = {"data": "phantom", "per_class": 20, "seed": 0, "arm": "tsynd", "status": "done", "error": None}
    assert _step(3, 12, left, record | changed) == Step("study", 3, 12, text)


def test_time_left_is_by_the_same_set_and_arm_where_it_was_measured() -> None:
    runs = study(seeds=(0,)).runs()
    records: list[dict[str, Any]] = [
        {"status": "done", "data": "phantom", "arm": "none", "elapsed": 10.0},
        {"status": "done", "data": "phantom", "arm": "none", "elapsed": 20.0},
        {"status": "failed", "data": "phantom", "arm": "far"},
    ]
    assert seconds_left(runs, records[2:]) is None
    assert seconds_left(runs, records) == 6 * 15
    records.append({"status": "done", "data": "phantom", "arm": "far", "elapsed": 45.0})
    # phantom: none 15, far 45, guarded 25 (mean of the set); the other set: 3 times the mean of all
    assert seconds_left(runs, records, jobs=2) == (15 + 45 + 25 + 3 * 25) / 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"jobs": 0}, "jobs must be >= 1, got 0"),
        ({"backend": "slurm"}, "unknown backend 'slurm'"),
        ({"scheduler": "tcp://a:1"}, "--scheduler tcp://a:1 needs --backend dask"),
        ({"backend": "dask"}, "needs the address of a scheduler"),
    ],
)
def test_wrong_settings(tmp_path: Path, ran: list[str], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(TsyndError) as caught:
        run_study(study(), tmp_path, **settings)
    assert words in str(caught.value)
    assert ran == []


def test_the_number_of_threads_is_one_inside_and_as_before_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[int] = []
    pretend(monkeypatch, lambda config: inside.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    run_study(study(seeds=(0,)), tmp_path)
    assert set(inside) == {1}
    assert torch.get_num_threads() == before

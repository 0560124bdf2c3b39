"""What the book shows of `results/` is what stands there, and the summary follows from the rows."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import first_look
import make_landing
import oracle
import phantom_claim
import phantom_learning_curve
import phantom_likeness
import pytest
import shared
import torch

ALL = Path(__file__).resolve().parent.parent / "results"
RESULTS = ALL / "first-look"


def test_the_landing_page_s_table_is_current() -> None:
    assert make_landing.TABLE.read_text(encoding="utf-8") == make_landing.table(make_landing.read())


def test_the_summary_follows_from_the_rows() -> None:
    rows = [
        row | {"seed": int(row["seed"])} | {name: float(row[name]) for name in first_look.MEASURES} for row in make_landing.read()
    ]
    assert json.loads((RESULTS / "summary.json").read_text()) == first_look.summarise(rows)


def test_differences_are_paired_by_seed() -> None:
    def row(arm: str, seed: int, value: float) -> dict[str, object]:
        return {"data": "toy", "arm": arm, "seed": seed} | dict.fromkeys(first_look.MEASURES, value)

    rows = [row(arm, seed, seed + 0.1 * first_look.ARMS.index(arm)) for arm in first_look.ARMS for seed in (0, 1, 2)]
    rows.append(row("none", 3, 100.0))  # without its pair: left out
    summary = first_look.summarise(rows)
    assert summary["means"]["toy"]["seeds"] == 3
    assert summary["means"]["toy"]["none"]["auroc"] == 1.0
    assert summary["differences"]["toy"]["guarded - none"]["auroc"] == {"mean": 0.2, "lowest": 0.2, "highest": 0.2}


@pytest.mark.parametrize(
    ("name", "study", "part"),
    [
        ("phantom-likeness", phantom_likeness, None),
        ("phantom-learning-curve", phantom_learning_curve, "counts"),
        ("phantom-claim", phantom_claim, "subgroups"),
        ("oracle", oracle, None),
    ],
)
def test_tables_in_the_book_are_current(name: str, study: ModuleType, part: str | None) -> None:
    summary = json.loads((ALL / name / "summary.json").read_text())
    assert (ALL / name / "table.md").read_text(encoding="utf-8") == study.table(summary[part] if part else summary)
    if part:
        assert study.summarise(shared.read_csv(ALL / name / "runs.csv")) == summary[part]


def test_the_claim_rests_on_ten_seeds_or_more() -> None:
    summary = json.loads((ALL / "phantom-claim" / "summary.json").read_text())["subgroups"]
    assert summary and all(part["seeds"] >= 10 for part in summary.values())


def test_matched_images_are_of_the_same_class_and_used_once() -> None:
    score, labels = torch.tensor([0.5, 0.6, 0.9, -0.5, 0.52, -0.6]), torch.tensor([1, 1, 1, 0, 1, 0])
    inside = torch.tensor([True, False, False, True, True, False])
    assert phantom_claim.matched(score, labels, inside).tolist() == [0, 1, 3, 5, 4, 2]


def test_withheld_and_seen_are_paired_by_seed() -> None:
    def row(withheld: int, seed: int, value: float) -> dict[str, Any]:
        names = ("auroc", "matched")
        scores = {f"{name}_{score}": value for name in names for score in phantom_claim.SCORES}
        return {"subgroup": "faint", "withheld": withheld, "seed": seed} | scores

    rows = [row(withheld, seed, seed + 0.1 * withheld) for withheld in (0, 1) for seed in range(4)]
    rows.append(row(0, 9, 100.0))  # without its pair: left out
    found = phantom_claim.summarise(rows)["faint"]
    assert found["seeds"] == 4
    assert found["withheld - seen"]["auroc_entropy"] == {"mean": 0.1, "low": 0.1, "high": 0.1}


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [{"name": "a", "seed": 0, "value": 0.25}, {"name": "b", "seed": 1, "value": 1.5}]
    shared.write_csv(tmp_path / "rows.csv", rows)
    assert shared.read_csv(tmp_path / "rows.csv") == rows
    assert shared.read_csv(tmp_path / "none.csv") == []

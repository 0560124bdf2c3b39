"""The chapter on the study: its numbers are those of the results, and its figures draw what they are given."""

import csv
from pathlib import Path

import pytest

from tsynd.teaching.figures import study

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "data", "measure"),
    [("AUROC, BreastMNIST", "breastmnist", "auroc"), ("PGD 2/255, RetinaMNIST", "retinamnist", "pgd_2_255")],
)
def test_the_ten_seeds_are_those_of_the_results(name: str, data: str, measure: str) -> None:
    with (ROOT / "results/refresh/runs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for scheme, numbers in (("none", study.NONE), ("bank", study.GUARDED)):
        found = {int(row["seed"]): float(row[measure]) for row in rows if (row["data"], row["scheme"]) == (data, scheme)}
        assert numbers[name] == [found[seed] for seed in range(10)]


@pytest.mark.parametrize(("name", "measure"), [("AUROC", "auroc"), ("PGD 2/255", "pgd_2_255")])
def test_the_seeds_of_the_main_study_are_those_of_its_table(name: str, measure: str) -> None:
    with (ROOT / "results/main/runs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sizes = {"breastmnist": "60", "pneumoniamnist": "25", "retinamnist": "25", "phantom:withheld=irregular-enhancing": "60"}
    found = {
        (row["data"], row["arm"], int(row["seed"])): float(row[measure])
        for row in rows
        if row["status"] == "done" and sizes[row["data"]] == row["per_class"]
    }
    for seed, value in enumerate(study.MAIN[name]):
        differences = [found[data, "tsynd", seed] - found[data, "none", seed] for data in sizes]
        assert value == pytest.approx(sum(differences) / len(sizes), abs=1e-5)


def test_hidden_seeds_are_not_drawn() -> None:
    some, every = study.seeds({"a": [0.1, -0.2, 0.3]}, shown=2), study.seeds({"a": [0.1, -0.2, 0.3]})
    assert len(every.axes[0].lines) == len(some.axes[0].lines) + 1
    assert some.axes[0].get_ylim() == every.axes[0].get_ylim()


def test_bars_of_coverage_and_rows_of_intervals() -> None:
    figure = study.held({"one": {"t": 0.5, "crossed": 0.95}, "two": {"t": 0.9, "crossed": 0.96}})
    assert len(figure.axes[0].patches) == 4
    figure = study.intervals([(0.1, 0.05, 0.15), (0.0, -0.1, 0.1)], 0.02, "2 seeds")
    assert figure.axes[0].get_title() == "2 seeds: 1 of 2 lie above 0"

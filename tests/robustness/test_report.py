"""The report of all conditions: its rows say what the sections say, its intervals cover, and it becomes a table and a figure."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.robustness.toys import images_and_labels, small_network, trained
from tsynd.errors import TsyndError
from tsynd.metrics.classification import balanced_accuracy, clean_metrics
from tsynd.posterior import FullDropout
from tsynd.robustness import RobustnessReport, evaluate
from tsynd.robustness.conditions import RESAMPLES, described, resampled
from tsynd.utils.rng import generator_for

MEASURES = ("accuracy", "balanced_accuracy", "low", "high", "nll", "ece", "aurc", "mutual_information", "error_auroc")


@pytest.fixture(scope="module")
def report() -> RobustnessReport:
    images, labels = images_and_labels(60, classes=3)
    network = trained(small_network(1, 12, 3), images, labels, steps=15)
    labels = torch.where(torch.arange(60) % 7 == 0, (labels + 1) % 3, labels)  # some errors
    posterior = FullDropout(network, 8, generator_for(0, "masks"))
    names = ("gaussian_noise", "motion_blur")
    return evaluate(
        network, images, labels, "multi-class", posterior=posterior, corruptions=names, draws=2, attack_steps=3, limit=40
    )


def test_the_rows_say_what_the_sections_say(report: RobustnessReport) -> None:
    rows = report["conditions"]
    assert [(row["section"], row["name"]) for row in rows[:3]] == [
        ("clean", "clean"),
        ("test_time_augmentation", "inside"),
        ("test_time_augmentation", "outside"),
    ]
    assert len(rows) == 3 + 2 * 5 + 5
    by_place: dict[Any, dict[str, Any]] = {(row["section"], row["name"], row["level"]): row for row in rows}
    for name, levels in report["corruptions"].items():
        for severity, value in levels.items():
            assert by_place["corruptions", name, int(severity)]["balanced_accuracy"] == value
    for row, value in zip(rows[-5:], report["attacks"]["pgd"].values(), strict=True):
        assert row["accuracy"] == pytest.approx(value)
    assert rows[-5]["balanced_accuracy"] == rows[0]["balanced_accuracy"]
    for where in ("inside", "outside"):
        row = by_place["test_time_augmentation", where, None]
        assert row["balanced_accuracy"] == pytest.approx(report["test_time_augmentation"][where]["mean"])
    for row in rows:
        assert tuple(row)[4:] == MEASURES
        assert row["n"] == 40
        assert 0 <= row["low"] <= row["high"] <= 1
        assert row["low"] - 1e-9 <= row["balanced_accuracy"] <= row["high"] + 1e-9
        assert (row["mutual_information"] is None) == (row["section"] == "test_time_augmentation")
    assert rows[0]["low"] < rows[0]["balanced_accuracy"] < rows[0]["high"]


def test_a_report_is_its_json_and_comes_back_from_a_run(report: RobustnessReport) -> None:
    text = json.dumps(report.to_json() | {"seconds": {}, "split": "test"}, allow_nan=False)
    again = RobustnessReport(json.loads(text))
    assert again == report
    assert list(again) == list(report)
    assert "18 conditions" in repr(again)
    with pytest.raises(TsyndError, match="missing: conditions"):
        RobustnessReport({name: report[name] for name in report if name != "conditions"})


def test_the_table_has_a_row_for_each_condition(report: RobustnessReport) -> None:
    pytest.importorskip("pandas")
    frame = report.to_frame()
    assert list(frame.columns) == ["section", "name", "level", "n", *MEASURES]
    assert len(frame) == 18
    assert frame["mutual_information"].isna().sum() == 2
    assert frame["balanced_accuracy"].dtype == "float64"


def test_the_figure_leaves_out_what_was_not_measured(report: RobustnessReport) -> None:
    figure = report.plot()
    assert len(figure.axes) == 8
    assert figure.axes[0].get_ylabel() == "balanced accuracy"
    without = [row | {"mutual_information": None, "error_auroc": None} for row in report["conditions"]]
    assert len(RobustnessReport(report.to_json() | {"conditions": without}).plot().axes) == 4
    no_corruption = [row for row in report["conditions"] if row["section"] != "corruptions"]
    assert RobustnessReport(report.to_json() | {"conditions": no_corruption}).plot().axes


def test_measures_are_those_of_the_metrics() -> None:
    generator = torch.Generator().manual_seed(0)
    labels, logits = torch.arange(50) % 3, torch.randn(50, 3, generator=generator)
    found, wanted = described(logits, labels, resampled(labels)), clean_metrics(logits.double().softmax(1), labels, "multi-class")
    several, of_several = torch.stack([labels % 2, labels // 2], 1), torch.randn(50, 2, generator=generator)
    both = torch.stack([-of_several / 2, of_several / 2], dim=-1)
    found_several = described(both, several, resampled(several))
    wanted_several = clean_metrics(of_several.double().sigmoid(), several, "multi-label")
    for one, other in ((found, wanted), (found_several, wanted_several)):
        for name in ("accuracy", "balanced_accuracy", "nll", "ece", "aurc"):
            assert one[name] == pytest.approx(other[name], abs=1e-6)


def test_draws_of_the_same_images_are_averaged() -> None:
    labels = torch.arange(20) % 2
    right, wrong = nn.functional.one_hot(labels, 2).float(), nn.functional.one_hot(1 - labels, 2).float()
    found = described(torch.cat([right, wrong]), labels, resampled(labels))
    assert found["accuracy"] == found["balanced_accuracy"] == 0.5
    assert found["low"] == found["high"] == 0.5, "each image is right half the time: no image differs from another"


def test_resamples_keep_the_classes_and_repeat() -> None:
    labels = torch.tensor([0] * 30 + [1] * 7)
    counts = resampled(labels, generator_for(0, "intervals"))
    assert counts.shape == (RESAMPLES, 37)
    assert (counts[:, :30].long().sum(dim=1) == 30).all()
    assert (counts[:, 30:].long().sum(dim=1) == 7).all()
    assert torch.equal(counts, resampled(labels, generator_for(0, "intervals")))
    several = resampled(torch.stack([labels, 1 - labels], dim=1), generator_for(0, "intervals"))
    assert (several.long().sum(dim=1) == 37).all()
    assert several[:, 30:].long().sum(dim=1).unique().numel() > 1


def test_the_interval_covers_about_as_often_as_it_says() -> None:
    generator, truth, inside = torch.Generator().manual_seed(0), 0.8, 0
    labels = torch.arange(120) % 2
    for _ in range(60):
        right = torch.rand(120, generator=generator) < truth
        scores = nn.functional.one_hot(torch.where(right, labels, 1 - labels), 2).float()
        found = described(scores, labels, resampled(labels, generator))
        low, high = found["low"], found["high"]
        assert low is not None and high is not None
        inside += low <= truth <= high
    assert 50 <= inside < 60


def test_accuracy_of_the_attacked_counts_no_decision_that_was_wrong_before() -> None:
    images, labels = images_and_labels(40, classes=4)
    several = torch.stack([labels // 2, labels % 2], 1)
    network = trained(small_network(1, 12, 2), images, labels % 2, steps=20)
    found = evaluate(network, images, several, "multi-label", corruptions=(), draws=1, eps=(0.0, 0.05, 0.3))

    def wrong(x: Tensor) -> Tensor:
        with torch.no_grad():
            return (network(x) > 0).long() != several

    held = found["attacks"]["pgd"]
    assert held["0"] == pytest.approx(float((~wrong(images)).double().mean()))
    assert list(held.values()) == sorted(held.values(), reverse=True)
    for row, value in zip(found["conditions"][-3:], held.values(), strict=True):
        assert row["accuracy"] == pytest.approx(value)


def test_balanced_accuracy_of_the_clean_row_is_that_of_the_images_that_were_chosen() -> None:
    images, labels = images_and_labels(30)
    network = small_network(1, 12, 2)
    found = evaluate(network, images, labels, "binary", corruptions=(), draws=1, eps=(), attack_steps=1)
    with torch.no_grad():
        assert found["conditions"][0]["balanced_accuracy"] == pytest.approx(balanced_accuracy(network(images), labels))
    assert found["conditions"][0]["mutual_information"] is None

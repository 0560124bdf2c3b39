"""Metrics agree with scikit-learn and with plain loops, for every task, and stay defined where a class is missing."""

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.robustness.toys import label_predictions, predictions
from tsynd.errors import TsyndError
from tsynd.metrics import calibration, classification

EVERYWHERE = {"accuracy", "balanced_accuracy", "auroc", "nll", "brier", "ece", "ece_interval", "aurc"}


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(classes: int, seed: int) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    probs, labels = predictions(200, classes, seed)
    predicted, p, y = probs.argmax(dim=1).numpy(), probs.numpy(), labels.numpy()
    area = reference.roc_auc_score(y, p[:, 1]) if classes == 2 else reference.roc_auc_score(y, p, multi_class="ovr")
    kappa = reference.cohen_kappa_score(y, predicted, weights="quadratic", labels=range(classes))
    assert classification.auroc(probs, labels) == pytest.approx(area, abs=1e-6)
    assert classification.accuracy(probs, labels) == pytest.approx(reference.accuracy_score(y, predicted), abs=1e-6)
    assert classification.balanced_accuracy(probs, labels) == pytest.approx(
        reference.balanced_accuracy_score(y, predicted), abs=1e-6
    )
    assert classification.quadratic_kappa(probs, labels) == pytest.approx(kappa, abs=1e-6)
    if classes == 2:
        false, true, _ = reference.roc_curve(y, p[:, 1], drop_intermediate=False)
        best = true[1 - false >= 0.9 - 1e-9].max()
        assert classification.sensitivity_at_90_specificity(probs, labels) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_multi_label_agrees_with_scikit_learn(seed: int) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    probs, labels = label_predictions(150, 4, seed)
    report = classification.clean_metrics(probs, labels, "multi-label")
    p, y = probs.numpy(), labels.numpy()
    decided = p > 0.5
    assert report["auroc_per_label"] == pytest.approx(list(reference.roc_auc_score(y, p, average=None)), abs=1e-6)
    assert report["auroc"] == pytest.approx(reference.roc_auc_score(y, p, average="macro"), abs=1e-6)
    assert report["accuracy"] == pytest.approx(1 - reference.hamming_loss(y, decided), abs=1e-6)
    recalls = [reference.balanced_accuracy_score(y[:, k], decided[:, k]) for k in range(4)]
    losses = [reference.log_loss(y[:, k], p[:, k]) for k in range(4)]
    squares = [2 * reference.brier_score_loss(y[:, k], p[:, k]) for k in range(4)]
    assert report["balanced_accuracy"] == pytest.approx(sum(recalls) / 4, abs=1e-6)
    assert report["nll"] == pytest.approx(sum(losses), abs=1e-9)
    assert report["brier"] == pytest.approx(sum(squares), abs=1e-9)


def test_multi_label_calibration_is_that_of_all_decisions_and_resamples_images() -> None:
    probs, labels = label_predictions(90, 4, seed=0)
    report = classification.clean_metrics(probs, labels, "multi-label")
    confidence, wrong = torch.maximum(probs, 1 - probs).flatten(), ((probs > 0.5) != labels.bool()).flatten()
    said, right = torch.stack([1 - confidence, confidence], dim=1), (~wrong).long()
    assert report["ece"] == pytest.approx(calibration.ece(said, right), abs=1e-9)
    assert report["aurc"] == pytest.approx(calibration.aurc(-confidence, wrong), abs=1e-9)
    # Each label four times over: as many images, so as wide an interval, although there are four times the decisions.
    low, high = classification.clean_metrics(probs[:, :1], labels[:, :1], "multi-label")["ece_interval"]
    again = classification.clean_metrics(probs[:, [0] * 4], labels[:, [0] * 4], "multi-label")["ece_interval"]
    assert again[1] - again[0] > 0.7 * (high - low)


@pytest.mark.parametrize("single", [None, 0, 1])
def test_one_label_is_the_binary_task(single: int | None) -> None:
    probs, labels = label_predictions(80, 1, seed=3)
    labels = labels if single is None else torch.full_like(labels, single)
    both = torch.cat([1 - probs, probs], dim=1)
    report = classification.clean_metrics(probs, labels, "multi-label")
    assert report.pop("auroc_per_label") == [report["auroc"]]
    assert report == {key: classification.clean_metrics(both, labels[:, 0], "binary")[key] for key in report}


def test_a_label_without_both_values_is_left_out_of_the_area_and_a_half_is_no() -> None:
    probs, labels = label_predictions(60, 3, seed=1)
    labels[:, 1] = 0
    report = classification.clean_metrics(probs, labels, "multi-label")
    first, missing, last = report["auroc_per_label"]
    assert missing is None
    assert report["auroc"] == pytest.approx((first + last) / 2)
    json.dumps(report, allow_nan=False)
    report = classification.clean_metrics(torch.full((4, 2), 0.5), torch.tensor([[0, 0], [0, 0], [0, 0], [0, 1]]), "multi-label")
    assert (report["accuracy"], report["auroc_per_label"]) == (0.875, [None, 0.5])


def test_small_float32_probabilities_of_a_label_are_told_apart() -> None:
    probs, labels = torch.tensor([[1e-9], [1e-8]]), torch.tensor([[0], [1]])  # in float32 both leave 1 for "no"
    assert classification.clean_metrics(probs, labels, "multi-label")["aurc"] == 0.25


def test_an_absent_class_is_left_out_of_averages_but_keeps_its_place_among_grades() -> None:
    reference = pytest.importorskip("sklearn.metrics")
    probs, labels = predictions(80, 5, seed=1, temperature=2.0)
    kept = (labels != 3) & (labels != 0)
    probs, labels = probs[kept], labels[kept]
    predicted = probs.argmax(dim=1)
    assert (predicted == 3).any(), "the absent class must be predicted for this to be a test"
    areas = [reference.roc_auc_score(labels.numpy() == c, probs[:, c].numpy()) for c in (1, 2, 4)]
    recalls = [float((predicted[labels == c] == c).double().mean()) for c in (1, 2, 4)]
    report = classification.clean_metrics(probs, labels, "ordinal")
    kappa = reference.cohen_kappa_score(labels.numpy(), predicted.numpy(), weights="quadratic", labels=range(5))
    assert report["auroc"] == pytest.approx(sum(areas) / 3, abs=1e-6)
    assert report["balanced_accuracy"] == pytest.approx(sum(recalls) / 3, abs=1e-6)
    assert report["quadratic_kappa"] == pytest.approx(kappa, abs=1e-6)


def test_kappa_looks_at_distance_and_is_undefined_for_a_single_class() -> None:
    truth, near, far = torch.tensor([0, 1, 2, 3] * 5), torch.eye(4)[[0, 1, 2, 2] * 5], torch.eye(4)[[0, 1, 2, 0] * 5]
    assert classification.quadratic_kappa(torch.eye(4)[truth], truth) == 1
    assert (classification.quadratic_kappa(near, truth) or 0) > (classification.quadratic_kappa(far, truth) or 0) + 0.3
    assert classification.quadratic_kappa(torch.eye(4)[[2, 2, 2]], torch.tensor([2, 2, 2])) is None
    assert classification.quadratic_kappa(torch.eye(4)[[2, 2, 1]], torch.tensor([2, 2, 2])) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("task", "classes", "own"),
    [
        ("binary", 2, {"sensitivity_at_90_specificity"}),
        ("multi-class", 4, set()),
        ("ordinal", 3, {"quadratic_kappa"}),
        ("multi-label", 3, {"auroc_per_label"}),
    ],
)
@pytest.mark.parametrize("count", [1, 64])
def test_keys_are_those_of_the_contract_and_json_safe(task: str, classes: int, own: set[str], count: int) -> None:
    probs, labels = (label_predictions if task == "multi-label" else predictions)(count, classes, seed=0)
    for some_labels in (labels, torch.ones_like(labels)):  # also with a single class: undefined is None
        report = classification.clean_metrics(probs.float().requires_grad_(), some_labels, task)
        assert set(report) == EVERYWHERE | own
        assert json.loads(json.dumps(report, allow_nan=False)) == report
        assert all(0 <= end <= 1 for end in report["ece_interval"])
    assert report["auroc"] is None


def test_the_interval_follows_the_seed_and_nothing_else_does() -> None:
    probs, labels = predictions(60, 3, seed=0)
    state = torch.get_rng_state()
    one, other = (classification.clean_metrics(probs, labels, "ordinal", seed=seed) for seed in (0, 1))
    assert one == classification.clean_metrics(probs, labels, "ordinal")
    assert {key for key in one if one[key] != other[key]} == {"ece_interval"}
    assert torch.equal(torch.get_rng_state(), state)


@given(count=st.integers(1, 60), columns=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_order_of_images_and_labels_does_not_matter(count: int, columns: int, seed: int) -> None:
    probs, labels = label_predictions(count, columns, seed)
    probs = (probs * 8).round() / 8  # with ties, and with 0 and 1
    report = classification.clean_metrics(probs, labels, "multi-label")
    generator = torch.Generator().manual_seed(seed)
    rows, order = torch.randperm(count, generator=generator), torch.randperm(columns, generator=generator)
    other = classification.clean_metrics(probs[rows][:, order], labels[rows][:, order], "multi-label")
    for key in EVERYWHERE - {"ece_interval"}:
        assert other[key] == pytest.approx(report[key], abs=1e-6) or report[key] is other[key] is None
    assert other["auroc_per_label"] == [report["auroc_per_label"][place] for place in order.tolist()]
    assert all(0 <= report[key] <= 1 for key in ("accuracy", "balanced_accuracy", "ece", "aurc"))
    assert 0 <= report["brier"] <= 2 * columns
    assert math.isfinite(report["nll"])


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_error_auroc_counts_ordered_pairs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(30, generator=generator) < 0.3
    # Tiny values beside ones above 1, with ties: torchmetrics alone would squash the tiny ones together.
    uncertainty = torch.randint(1, 8, (30,), generator=generator).float() * 1e-9 + 2 * (torch.rand(30, generator=generator) < 0.2)
    if not 0 < wrong.sum() < 30:
        assert classification.error_auroc(uncertainty, wrong) is None
        return
    bad, good = uncertainty[wrong].view(-1, 1), uncertainty[~wrong].view(1, -1)
    expected = float(((bad > good).double() + 0.5 * (bad == good)).mean())
    assert classification.error_auroc(uncertainty, wrong) == pytest.approx(expected, abs=1e-6)


def test_bad_input_is_refused() -> None:
    probs, labels = predictions(8, 3, seed=0)
    many, truth = label_predictions(8, 3, seed=0)
    cases: list[tuple[Any, Any, str, str]] = [
        (probs, labels, "binry", "did you mean 'binary'"),
        (probs, labels, "multilabel", "did you mean 'multi-label'"),
        (probs, labels, "binary", "2 classes"),
        (probs, labels + 1, "ordinal", r"must lie in 0 \.\. 2, got 1 \.\. 3"),
        (probs, labels - 1, "ordinal", r"must lie in 0 \.\. 2, got -1 \.\. 1"),
        (probs.log(), labels, "ordinal", "sum to one"),
        (probs * 0.9, labels, "multi-class", "sum to one"),
        (probs * torch.nan, labels, "ordinal", "sum to one"),
        (probs[:0], labels[:0], "ordinal", "shape"),
        (probs[:, 0], labels, "binary", r"shape \(B, C\)"),
        (probs, labels[:7], "ordinal", r"int64 of shape \(8,\), got torch.int64 of shape \(7,\)"),
        (probs, labels.float(), "ordinal", "int64"),
        (many * 1.5, truth, "multi-label", r"must lie in \[0, 1\], got 0\.\d+ to 1\.\d+"),
        (-many, truth, "multi-label", r"must lie in \[0, 1\], got -0\.\d+ to -0\.\d+"),
        (many * torch.nan, truth, "multi-label", r"must lie in \[0, 1\], got nan"),
        (many, truth + 1, "multi-label", r"0 or 1, got 1 \.\. 2"),
        (many, truth - 1, "multi-label", r"0 or 1, got -1 \.\. 0"),
        (many, truth[:, 0], "multi-label", r"int64 of shape \(8, 3\), got torch.int64 of shape \(8,\)"),
        (many, truth.bool(), "multi-label", r"int64 of shape \(8, 3\), got torch.bool"),
        (many[:, :0], truth[:, :0], "multi-label", r"L >= 1, got \(8, 0\)"),
        (many[:, 0], truth[:, 0], "multi-label", r"shape \(B, L\)"),
    ]
    for some_probs, some_labels, task, message in cases:
        with pytest.raises(TsyndError, match=message):
            classification.clean_metrics(some_probs, some_labels, task)

"""Metrics agree with scikit-learn and with plain loops, and stay defined where a class is missing."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.robustness import metrics


def draw(count: int, classes: int, seed: int, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    logits = torch.randn(count, classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(count), labels] += 1
    return (logits / temperature).softmax(dim=1), labels


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(classes: int, seed: int) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    probs, labels = draw(200, classes, seed)
    predicted, p, y = probs.argmax(dim=1).numpy(), probs.numpy(), labels.numpy()
    area = reference.roc_auc_score(y, p[:, 1]) if classes == 2 else reference.roc_auc_score(y, p, multi_class="ovr")
    assert metrics.auroc(probs, labels) == pytest.approx(area, abs=1e-6)
    assert metrics.accuracy(probs, labels) == pytest.approx(reference.accuracy_score(y, predicted), abs=1e-6)
    assert metrics.balanced_accuracy(probs, labels) == pytest.approx(reference.balanced_accuracy_score(y, predicted), abs=1e-6)
    assert metrics.nll(probs, labels) == pytest.approx(reference.log_loss(y, p, labels=range(classes)), abs=1e-9)
    if classes == 2:
        assert metrics.brier(probs, labels) == pytest.approx(2 * reference.brier_score_loss(y, p[:, 1]), abs=1e-9)
        false, true, _ = reference.roc_curve(y, p[:, 1], drop_intermediate=False)
        best = true[1 - false >= 0.9 - 1e-9].max()
        assert metrics.sensitivity_at_90_specificity(probs, labels) == pytest.approx(best, abs=1e-6)


def test_an_absent_class_is_left_out_of_averages() -> None:
    reference = pytest.importorskip("sklearn.metrics")
    probs, labels = draw(80, 5, seed=1, temperature=2.0)
    kept = (labels != 3) & (labels != 0)
    probs, labels = probs[kept], labels[kept]
    assert (probs.argmax(dim=1) == 3).any(), "the absent class must be predicted for this to be a test"
    areas = [reference.roc_auc_score(labels.numpy() == c, probs[:, c].numpy()) for c in (1, 2, 4)]
    recalls = [float((probs.argmax(dim=1)[labels == c] == c).double().mean()) for c in (1, 2, 4)]
    report = metrics.clean_metrics(probs, labels, "ordinal")
    assert report["auroc"] == pytest.approx(sum(areas) / 3, abs=1e-6)
    assert report["balanced_accuracy"] == pytest.approx(sum(recalls) / 3, abs=1e-6)


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multi-class", 4), ("ordinal", 3)])
def test_keys_are_those_of_the_contract_and_json_safe(task: str, classes: int) -> None:
    probs, labels = draw(64, classes, seed=0)
    expected = {"accuracy", "balanced_accuracy", "auroc", "nll", "brier", "ece"}
    expected |= {"sensitivity_at_90_specificity"} if task == "binary" else set()
    for some_labels in (labels, torch.ones_like(labels)):  # also with a single class: undefined is None
        report = metrics.clean_metrics(probs.float(), some_labels, task)
        assert set(report) == expected
        json.dumps(report, allow_nan=False)
    assert report["auroc"] is None


def test_certain_and_wrong_is_finite() -> None:
    probs, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([1])
    assert math.isfinite(metrics.nll(probs, labels))
    assert metrics.nll(probs, labels) > 700
    assert metrics.brier(probs, labels) == 2
    assert metrics.ece(probs, labels) == 1


def test_ece_of_a_calibrated_and_of_an_overconfident_forecast() -> None:
    labels = torch.tensor([0, 0, 0, 1] * 50)
    assert metrics.ece(torch.tensor([[0.75, 0.25]] * 200), labels) == pytest.approx(0, abs=1e-9)
    assert metrics.ece(torch.tensor([[1.0, 0.0]] * 200), labels) == pytest.approx(0.25, abs=1e-9)


@given(count=st.integers(1, 80), classes=st.integers(2, 6), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_ece_is_bounded_ignores_order_and_equals_a_loop(count: int, classes: int, seed: int) -> None:
    probs, labels = draw(count, classes, seed)
    value = metrics.ece(probs, labels)
    assert 0 <= value <= 1
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert metrics.ece(probs[order], labels[order]) == pytest.approx(value, abs=1e-9)
    rows = sorted(zip(probs.max(dim=1).values.tolist(), (probs.argmax(dim=1) == labels).tolist(), strict=True))
    bins = max(1, min(15, count // 10))
    sizes = [count // bins + (index < count % bins) for index in range(bins)]
    total = 0.0
    for size in sizes:
        part, rows = rows[:size], rows[size:]
        total += abs(sum(right - confidence for confidence, right in part))
    assert value == pytest.approx(total / count, abs=1e-9)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_error_auroc_counts_ordered_pairs(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(30, generator=generator) < 0.3
    # Tiny values beside ones above 1, with ties: torchmetrics alone would squash the tiny ones together.
    uncertainty = torch.randint(1, 8, (30,), generator=generator).float() * 1e-9 + 2 * (torch.rand(30, generator=generator) < 0.2)
    if not 0 < wrong.sum() < 30:
        assert metrics.error_auroc(uncertainty, wrong) is None
        return
    bad, good = uncertainty[wrong].view(-1, 1), uncertainty[~wrong].view(1, -1)
    expected = float(((bad > good).double() + 0.5 * (bad == good)).mean())
    assert metrics.error_auroc(uncertainty, wrong) == pytest.approx(expected, abs=1e-6)


def test_bad_input_is_refused() -> None:
    probs, labels = draw(8, 3, seed=0)
    with pytest.raises(TsyndError, match="multi-label"):
        metrics.clean_metrics(probs, labels, "multi-label")
    with pytest.raises(TsyndError, match="did you mean 'binary'"):
        metrics.clean_metrics(probs, labels, "binry")
    with pytest.raises(TsyndError, match="2 classes"):
        metrics.clean_metrics(probs, labels, "binary")
    with pytest.raises(TsyndError, match="must lie in 0"):
        metrics.clean_metrics(probs, labels + 1, "ordinal")
    with pytest.raises(TsyndError, match="sum to one"):
        metrics.clean_metrics(probs.log(), labels, "ordinal")
    with pytest.raises(TsyndError, match="sum to one"):
        metrics.clean_metrics(probs * torch.nan, labels, "ordinal")
    with pytest.raises(TsyndError, match="shape"):
        metrics.clean_metrics(probs[:0], labels[:0], "ordinal")
    with pytest.raises(TsyndError, match="int64"):
        metrics.clean_metrics(probs, labels.float(), "ordinal")

"""Measures under weights, against scikit-learn and by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from tsynd.errors import TsyndError
from tsynd.metrics.weighted import WEIGHTED, has, measure


def answers(classes: int = 2, count: int = 40, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    scores = random.random((count, classes)).round(1) + 0.3 * np.eye(classes)[labels] + 0.01  # with ties
    shares = {name: random.integers(0, 11, count) / 10 for name in ("augmented", "augmented_inside", "corrupted")}
    held = {name: random.random(count) < 0.5 for name in ("pgd_2_255", "pgd_4_255")}
    return {
        "labels": labels,
        "probs": scores / scores.sum(1, keepdims=True),
        "subgroup": random.random(count) < 0.5,
        **shares,
        **held,
    }


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("name", [name for name in WEIGHTED if not name.endswith(("apgd_4_255", "square_4_255"))])
def test_weights_count_images_as_often(name: str, classes: int) -> None:
    found = answers(classes)
    weights = np.random.default_rng(1).integers(1, 4, (3, 40))
    under = measure(name, found, weights)
    for weight, value in zip(weights, under, strict=True):
        repeated = {key: np.repeat(array, weight, axis=0) for key, array in found.items()}
        assert measure(name, repeated)[0] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_auroc_is_that_of_scikit_learn(classes: int, seed: int) -> None:
    found = answers(classes, seed=seed)
    random = np.random.default_rng(seed)
    probs = random.random((40, classes)) + 0.3 * np.eye(classes)[found["labels"]]
    found["probs"] = (probs / probs.sum(1, keepdims=True))[random.integers(0, 40, 40)]  # some rows twice: ties
    expected = (
        roc_auc_score(found["labels"], found["probs"][:, 1])
        if classes == 2
        else np.mean([roc_auc_score(found["labels"] == label, found["probs"][:, label]) for label in range(classes)])
    )
    assert measure("auroc", found)[0] == pytest.approx(expected, abs=1e-6)


def test_auroc_tells_probabilities_apart_that_single_precision_rounds_to_1() -> None:
    logits = np.array([[0.0, 30.0], [0.0, 40.0], [0.0, 50.0], [0.0, 20.0]])
    odds = np.exp(logits - logits.max(1, keepdims=True))
    probs = (odds / odds.sum(1, keepdims=True)).astype(np.float32)
    assert (probs[:3, 1] == 1).all()
    assert measure("auroc", {"labels": np.array([0, 1, 1, 0]), "probs": probs})[0] == 1


def test_an_unknown_measure_and_one_that_a_run_lacks() -> None:
    assert has("auroc", answers())
    assert not has("apgd_4_255", answers())
    with pytest.raises(TsyndError, match="unknown measure 'acuracy': did you mean 'accuracy'"):
        measure("acuracy", answers())


def test_measures_by_hand() -> None:
    """Four images, one of them wrong; the last class is rarer and the first image counts three times."""
    found = {"labels": np.array([0, 0, 0, 1]), "probs": np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]])}
    weights = np.array([[3, 1, 1, 1]])
    assert measure("accuracy", found, weights) == pytest.approx(5 / 6)
    assert measure("balanced_accuracy", found, weights) == pytest.approx((4 / 5 + 1) / 2)
    assert measure("nll", found, weights) == pytest.approx(-np.log([0.9, 0.9, 0.9, 0.8, 0.4, 0.6]).mean())
    assert measure("auroc", found, weights) == pytest.approx((4 + 0.5) / 5)  # the third is as likely as the last


def test_balanced_accuracy_under_attack_counts_each_class_alike() -> None:
    found = {"labels": np.array([0, 0, 0, 1]), "probs": np.full((4, 2), 0.5), "pgd_2_255": np.array([True, True, True, False])}
    assert has("balanced_pgd_2_255", found) and not has("balanced_apgd_4_255", found)
    assert measure("pgd_2_255", found)[0] == 0.75 and measure("balanced_pgd_2_255", found)[0] == 0.5


def test_an_impossible_answer_costs_much_and_not_infinitely_much() -> None:
    found = {"labels": np.array([0, 1]), "probs": np.array([[1.0, 0.0], [1.0, 0.0]])}
    assert 100 < measure("nll", found)[0] < 1000


def test_a_class_that_a_resample_lacks_is_left_out() -> None:
    found = {"labels": np.array([0, 0, 1]), "probs": np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])}
    assert measure("balanced_accuracy", found, np.array([[2, 0, 0], [1, 1, 0], [1, 1, 1]])).tolist() == [1.0, 0.5, 0.75]


def test_many_images_give_the_same_area(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    probs = random.dirichlet([1, 1], 200).round(2)  # with ties
    answers = {"labels": random.integers(0, 2, 200), "probs": probs}
    weights = random.integers(0, 3, (5, 200))
    few = measure("auroc", answers, weights)
    monkeypatch.setattr("tsynd.metrics.weighted.MANY_PAIRS", 0)
    np.testing.assert_allclose(measure("auroc", answers, weights), few, rtol=1e-6)

"""Measures under weights, crossed intervals whose coverage is simulated, Holm, verdicts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interval_coverage import coverage
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from tsynd.errors import TsyndError
from tsynd.study.measures import WEIGHTED, has, measure
from tsynd.study.statistics import crossed, holm, interval, resampled_images, resampled_seeds, verdict, widening


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
@pytest.mark.parametrize("name", [name for name in WEIGHTED if name not in ("apgd_4_255", "square_4_255")])
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


def test_resampled_images_keep_the_classes_and_seeds_their_mean() -> None:
    random = np.random.default_rng(0)
    labels = np.array([0] * 5 + [1] * 20)
    counts = resampled_images(labels, random, 300)
    assert (counts[:, :5].sum(1) == 5).all()
    assert (counts[:, 5:].sum(1) == 20).all()
    assert counts[:, :5].std() > 0.5
    seeds = resampled_seeds(10, random, 3000)
    assert seeds.mean(axis=1) == pytest.approx(1)
    # the variance of a mean of 10 values with variance 1 is 1 / 10, and the interval is as wide as Student's
    values = random.normal(size=10)
    spread = crossed(np.repeat(values[:, None], 3000, axis=1), seeds).std()
    assert spread == pytest.approx(values.std(ddof=1) / 10**0.5 * 2.262 / 1.96, rel=0.05)


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(TsyndError, match="an interval needs at least 2 seeds, got 1"):
        widening(1)


@pytest.mark.parametrize(("seed_effect", "image_effect"), [(0.0, 0.0), (0.0, 0.5), (0.1, 0.0), (0.1, 0.5)])
def test_intervals_hold_the_true_difference_in_93_of_100_studies(seed_effect: float, image_effect: float) -> None:
    """With and without effects of images that all seeds share; the others fail where METHOD says they do."""
    held = coverage(200, seed_effect, image_effect, resamples=300)
    assert held["crossed"] >= 0.93
    if image_effect:
        assert held["t"] < 0.9
        assert held["seeds"] < 0.85


def test_an_interval_and_its_p_value_agree() -> None:
    resampled = np.linspace(-0.01, 0.39, 2001)
    found = interval(0.19, resampled)
    assert (found.low, found.high) == pytest.approx((0.0, 0.38))
    assert found.p == pytest.approx(0.05, abs=0.002)
    assert interval(1.0, np.ones(2000)).p == pytest.approx(2 / 2001)
    assert interval(0.0, np.zeros(2000)).p == 1


def test_holm_s_own_rules() -> None:
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_never_lowers_and_keeps_the_order(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(after >= before for before, after in zip(values, adjusted, strict=True))
    for i in range(len(values)):
        for j in range(len(values)):
            if values[i] < values[j]:
                assert adjusted[i] <= adjusted[j]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.001, 0.5, "supported"), (-0.1, 0.009, "not supported"), (-0.1, 0.02, "undecided"), (0.0, 0.3, "undecided")],
)
def test_verdicts(low: float, high: float, said: str) -> None:
    assert verdict(low, high) == said

"""Crossed intervals whose coverage is simulated, Holm, verdicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interval_coverage import coverage

from tsynd.errors import TsyndError
from tsynd.study.statistics import crossed, holm, interval, resampled_images, resampled_seeds, verdict, widening


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


def test_the_widening_is_that_of_student_with_one_degree_of_freedom_less() -> None:
    assert [widening(seeds) for seeds in (2, 3, 10)] == pytest.approx(
        [2**0.5 * 12.7062 / 1.95996, 1.5**0.5 * 4.30265 / 1.95996, (10 / 9) ** 0.5 * 2.26216 / 1.95996], rel=1e-5
    )


def test_a_crossed_mean_is_over_seeds_within_each_resample() -> None:
    differences_SR = np.array([[1.0, 2.0, 3.0], [5.0, 7.0, 9.0]])
    counts_RS = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    assert crossed(differences_SR, counts_RS).tolist() == [3.0, 2.0, 9.0]


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(TsyndError, match="an interval needs at least 2 seeds, got 1"):
        widening(1)


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


@pytest.mark.parametrize(("seed_effect", "image_effect"), [(0.0, 0.0), (0.0, 0.5), (0.1, 0.0), (0.1, 0.5)])
def test_intervals_hold_the_true_difference_in_93_of_100_studies(seed_effect: float, image_effect: float) -> None:
    """With and without effects of images that all seeds share; the others fail where METHOD says they do."""
    held = coverage(200, seed_effect, image_effect, resamples=300)
    assert held["crossed"] >= 0.93
    if image_effect:
        assert held["t"] < 0.9
        assert held["seeds"] < 0.85

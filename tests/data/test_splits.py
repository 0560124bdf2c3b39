"""Subsets are stratified, nested, and the same everywhere."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsynd.data.splits import proportional, shuffled, stratified
from tsynd.errors import TsyndError

LABELS = torch.tensor([0, 1, 2] * 20)
CLASSES = ("a", "b", "c")
GOLDEN_ORDER = [0, 1, 5, 4, 7, 6, 2, 3]
GOLDEN_SUBSET = [22, 26, 27, 30, 38, 52]
GOLDEN_MULTI_LABEL = [0, 9, 13, 15, 23, 48]
# Label a is common, c is rare and never alone, every fifth image has none.
MULTI_LABEL = torch.tensor([[place % 5 != 0, place % 3 == 0 and place % 5 != 0, place % 10 == 3] for place in range(60)]).long()
GROUPS = torch.arange(60) // 4


def test_the_order_is_the_same_on_every_platform() -> None:
    assert shuffled([f"subset {position}" for position in range(8)], seed=0) == GOLDEN_ORDER
    assert stratified(LABELS, CLASSES, per_class=2, seed=3).tolist() == GOLDEN_SUBSET


@settings(deadline=None)  # a machine may be busy
@given(small=st.integers(1, 20), large=st.integers(1, 20), seed=st.integers(-3, 2**40))
def test_stratified_and_nested(small: int, large: int, seed: int) -> None:
    small, large = sorted((small, large))
    inner, outer = (stratified(LABELS, CLASSES, count, seed) for count in (small, large))
    assert torch.bincount(LABELS[outer]).tolist() == [large] * 3
    assert set(inner.tolist()) <= set(outer.tolist())
    assert outer.tolist() == sorted(outer.tolist())


def test_seeds_differ() -> None:
    assert stratified(LABELS, CLASSES, 5, seed=0).tolist() != stratified(LABELS, CLASSES, 5, seed=1).tolist()


@pytest.mark.parametrize("per_class", [0, -1, 2.5, True, "25"])
def test_per_class_must_be_a_positive_whole_number(per_class: object) -> None:
    with pytest.raises(TsyndError, match=f"per_class must be a whole number >= 1 or 'all', got {per_class!r}"):
        stratified(LABELS, CLASSES, per_class, seed=0)  # type: ignore[arg-type]


def test_more_than_the_smallest_class_has() -> None:
    with pytest.raises(TsyndError, match="at most 1, since class 'b' has 1 training images, got 2"):
        stratified(torch.tensor([0, 0, 0, 1]), ("a", "b"), per_class=2, seed=0)


def counted(labels: torch.Tensor, chosen: torch.Tensor) -> list[int]:
    return labels[chosen].sum(0).tolist() if labels.ndim == 2 else torch.bincount(labels[chosen], minlength=3).tolist()


def test_multi_label_choices_are_the_same_on_every_platform() -> None:
    assert stratified(MULTI_LABEL, CLASSES, per_class=2, seed=0).tolist() == GOLDEN_MULTI_LABEL


@pytest.mark.parametrize("labels", [LABELS, MULTI_LABEL], ids=["one label", "several labels"])
@pytest.mark.parametrize("groups", [None, GROUPS], ids=["alone", "grouped"])
@settings(deadline=None)  # a machine may be busy
@given(small=st.integers(1, 6), large=st.integers(1, 6), seed=st.integers(0, 2**40))
def test_every_kind_has_enough_of_each_class_and_is_nested(
    labels: torch.Tensor, groups: torch.Tensor | None, small: int, large: int, seed: int
) -> None:
    small, large = sorted((small, large))
    inner, outer = (stratified(labels, CLASSES, count, seed, groups) for count in (small, large))
    assert set(inner.tolist()) <= set(outer.tolist())
    assert min(counted(labels, inner)) >= small
    assert len(inner) < 60 or small > 3
    if groups is not None:
        assert all(torch.isin(groups, groups[chosen]).sum() == len(chosen) for chosen in (inner, outer))


@pytest.mark.parametrize("labels", [LABELS, MULTI_LABEL, (LABELS == 1).long()], ids=["balanced", "several labels", "unbalanced"])
@pytest.mark.parametrize("groups", [None, GROUPS], ids=["alone", "grouped"])
@settings(deadline=None)  # a machine may be busy
@given(small=st.floats(0.001, 1), large=st.floats(0.001, 1), seed=st.integers(0, 2**40))
def test_a_fraction_keeps_the_shares_and_is_nested(
    labels: torch.Tensor, groups: torch.Tensor | None, small: float, large: float, seed: int
) -> None:
    small, large = sorted((small, large))
    inner, outer = (proportional(labels, CLASSES, fraction, seed, groups) for fraction in (small, large))
    assert set(inner.tolist()) <= set(outer.tolist())
    everything = torch.arange(60)
    present = [count > 0 for count in counted(labels, everything)]
    assert [count > 0 for count in counted(labels, inner)] == present
    assert round(small * 60) <= len(inner) <= max(round(small * 60), 3 + (labels.ndim == 2)) + (0 if groups is None else 12)
    if groups is None and labels.ndim == 1:
        expected = [len(inner) * count / 60 for count in counted(labels, everything)]
        assert all(abs(found - wanted) <= 1 for found, wanted in zip(counted(labels, inner), expected, strict=True))
    assert len(proportional(labels, CLASSES, 1.0, seed, groups)) == 60


def test_images_without_a_label_are_a_class_of_their_own() -> None:
    chosen = stratified(MULTI_LABEL, CLASSES, per_class=3, seed=1)
    assert (MULTI_LABEL[chosen].sum(1) == 0).sum() >= 3


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan"), True, "0.5"])
def test_a_fraction_is_above_0_and_at_most_1(fraction: object) -> None:
    with pytest.raises(TsyndError, match=f"fraction must be above 0 and at most 1, got {fraction!r}"):
        proportional(LABELS, CLASSES, fraction, seed=0)  # type: ignore[arg-type]

"""Subsets are stratified, nested, and the same everywhere."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsynd.data.splits import shuffled, stratified
from tsynd.errors import TsyndError

LABELS = torch.tensor([0, 1, 2] * 20)
CLASSES = ("a", "b", "c")
GOLDEN_ORDER = [0, 1, 5, 4, 7, 6, 2, 3]
GOLDEN_SUBSET = [22, 26, 27, 30, 38, 52]


def test_the_order_is_the_same_on_every_platform() -> None:
    assert shuffled([f"subset {position}" for position in range(8)], seed=0) == GOLDEN_ORDER
    assert stratified(LABELS, CLASSES, per_class=2, seed=3).tolist() == GOLDEN_SUBSET


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

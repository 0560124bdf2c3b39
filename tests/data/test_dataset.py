"""A data set is checked when it is made; its subset reduces the training split only."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tsynd.data import Dataset, Split
from tsynd.errors import TsyndError


def split(labels: list[Any], size: int = 16, channels: int = 1) -> Split:
    return Split(torch.zeros(len(labels), channels, size, size, dtype=torch.uint8), torch.tensor(labels))


def dataset(**changes: Any) -> Dataset:
    parts = {name: split([0, 1, 0, 1]) for name in ("train", "val", "test")}
    given = {"name": "toy", **parts, "classes": ("a", "b"), "task": "binary", "licence": "none", **changes}
    return Dataset(**given)


def test_a_good_one() -> None:
    made = dataset()
    assert (made.channels, made.size, len(made.train)) == (1, 16, 4)
    assert "Split(4 images of 1 x 16 x 16)" in repr(made)


def test_a_subset_takes_val_in_proportion_and_leaves_test_whole() -> None:
    made = dataset(train=split([0, 1] * 10), val=split([0, 1, 1, 1] * 5))
    small = made.subset(3, seed=0)
    assert torch.bincount(small.train.labels).tolist() == [3, 3]
    assert torch.bincount(small.val.labels).tolist() == [2, 4]
    assert (small.test is made.test, len(made.train)) == (True, 20)
    assert torch.equal(small.train.labels, made.train.labels[made.subset_index(3, seed=0)])
    assert torch.bincount(made.subset(fraction=0.05, seed=0).val.labels).tolist() == [1, 1]
    assert made.subset("all").val is made.val


def test_groups_and_subgroups_stay_with_their_images() -> None:
    groups, labels = torch.arange(20) // 2, torch.arange(20) % 2
    images = torch.arange(20, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 16, 16)
    made = dataset(train=Split(images, labels, groups, {"late": torch.arange(20) > 9}))
    small = made.subset(fraction=0.2).train
    assert small.groups is not None
    assert small.groups.unique(return_counts=True)[1].tolist() == [2, 2]
    assert torch.equal(small.groups, small.images[:, 0, 0, 0].long() // 2)
    assert torch.equal(small.subgroups["late"], small.images[:, 0, 0, 0] > 9)


def test_per_class_and_fraction_exclude_each_other() -> None:
    with pytest.raises(TsyndError, match=r"not both: got per_class=2 and fraction=0\.5"):
        dataset().subset(2, fraction=0.5)


@pytest.mark.parametrize("everything", ["all", None])
def test_all_keeps_the_whole_training_set(everything: Any) -> None:
    made = dataset(train=split([0, 1] * 10))
    assert torch.equal(made.subset(everything, seed=0).train.images, made.train.images)
    assert made.subset_index(everything, seed=0).tolist() == list(range(20))


def test_images_and_labels_stay_together() -> None:
    images = torch.arange(20, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 16, 16)
    small = dataset(train=Split(images, torch.arange(20) % 2)).subset(4, seed=1)
    assert (small.train.images[:, 0, 0, 0] % 2).tolist() == small.train.labels.tolist()


def test_multi_label() -> None:
    parts = {name: split([[0, 1], [1, 0], [1, 1], [0, 0]] * 3) for name in ("train", "val", "test")}
    made = dataset(**parts, task="multi-label")
    assert len(made.subset("all", seed=0).train) == 12
    small = made.subset(2, seed=0)
    assert min(small.train.labels.sum(0).tolist()) == 2
    assert len(small.val) == len(small.train) < 12
    with pytest.raises(TsyndError, match="at most 6, since class 'a' has 6 training images, got 7"):
        made.subset(7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "binery"}, "unknown task 'binery': did you mean 'binary'"),
        ({"classes": ("a", "b", "c")}, "a binary task needs 2 classes, got 3"),
        ({"classes": ("a",), "task": "multi-class"}, "needs at least 2 classes, got 1"),
        ({"val": Split(torch.zeros(0, 1, 16, 16, dtype=torch.uint8), torch.zeros(0).long())}, "val has no images"),
        ({"test": Split(torch.zeros(2, 1, 16, 16), torch.tensor([0, 1]))}, "test images must be uint8"),
        ({"train": split([0, 1], channels=4)}, r"1 channel \(grey\) or 3 \(RGB\), got 4"),
        ({"train": split([0, 1], size=8)}, "at least 16 px, got 8 x 8 px"),
        ({"train": Split(torch.zeros(2, 1, 16, 20, dtype=torch.uint8), torch.tensor([0, 1]))}, "square.*got 16 x 20 px"),
        ({"val": split([0, 1], size=20)}, r"val images are \(1, 20, 20\), train images \(1, 16, 16\)"),
        ({"val": split([0.0, 1.0])}, r"val labels must be int64 of shape \(2,\), got torch.float32"),
        ({"val": split([[0], [1]])}, r"val labels must be int64 of shape \(2,\), got torch.int64 of \(2, 1\)"),
        ({"test": split([0, 2])}, "test labels must lie between 0 and 1, found 2"),
        ({"test": split([0, -1])}, "test labels must lie between 0 and 1, found -1"),
        ({"train": split([0, 0])}, r"class 1 \('b'\) has no image in train"),
        ({"val": replace(split([0, 1]), groups=torch.zeros(3).long())}, r"val groups must be int64 of shape \(2,\), got"),
        ({"val": replace(split([0, 1]), subgroups={"x": torch.zeros(2)})}, r"val subgroup 'x' must be bool of shape \(2,\), got"),
    ],
)
def test_anything_else_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TsyndError, match=message) as caught:
        dataset(**changes)
    assert "\n" not in str(caught.value)

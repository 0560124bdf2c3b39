"""Data sets from arrays, tensors and torch data sets: the same images whatever they come as, and clear refusals."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import TensorDataset

from tsynd.data import from_arrays
from tsynd.errors import TsyndError

DRAW = torch.Generator().manual_seed(0)
GREY = torch.randint(256, (6, 16, 16), generator=DRAW, dtype=torch.uint8)
COLOUR = torch.randint(256, (6, 3, 16, 16), generator=DRAW, dtype=torch.uint8)
LABELS = torch.arange(6) % 3


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (GREY, GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (GREY.numpy(), GREY[:, None]),
        (GREY.float() / 255, GREY[:, None]),
        (GREY.double().numpy()[..., None] / 255, GREY[:, None]),
        (COLOUR, COLOUR),
        (COLOUR.permute(0, 2, 3, 1).numpy(), COLOUR),
        (COLOUR.permute(0, 2, 3, 1), COLOUR),
    ],
)
def test_every_layout_gives_the_same_images(images: Any, wanted: torch.Tensor) -> None:
    data = from_arrays(*[(images, LABELS)] * 3)
    assert torch.equal(data.train.images, wanted) and torch.equal(data.test.labels, LABELS)
    assert (data.classes, data.task) == (("0", "1", "2"), "multi-class")


def test_labels_of_any_kind() -> None:
    column = from_arrays(*[(GREY, (LABELS == 1).numpy()[:, None])] * 3, classes=("no", "yes"))
    assert column.task == "binary" and column.train.labels.tolist() == [0, 1, 0, 0, 1, 0]
    several = torch.tensor([[0, 1], [1, 1], [0, 0]] * 2)
    assert from_arrays(*[(GREY, several)] * 3).task == "multi-label"
    grouped = from_arrays(*[(GREY, LABELS, np.arange(6) // 2)] * 3)
    assert grouped.train.groups is not None and grouped.train.groups.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_torch_data_set_comes_and_a_split_goes() -> None:
    class Pictures(TorchDataset[tuple[np.ndarray, int]]):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, place: int) -> tuple[np.ndarray, int]:
            return COLOUR[place].permute(1, 2, 0).numpy(), int(LABELS[place])

    theirs = TensorDataset(COLOUR.float() / 255, LABELS)
    data = from_arrays(Pictures(), theirs, from_arrays(*[(COLOUR, LABELS)] * 3).test)
    assert all(torch.equal(split.images, COLOUR) for split in (data.train, data.val, data.test))
    image, label = data.train.to_tensor_dataset()[4]
    assert torch.equal(image, COLOUR[4] / 255) and int(label) == 1


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((GREY.float(), LABELS), r"train images must lie in \[0, 1\], got 0 to 255"),
        ((GREY.short(), LABELS), "train images must be uint8, or float in"),
        ((GREY, LABELS + 0.5), "train labels must be whole numbers, got torch.float32"),
        ((GREY, LABELS[:5]), r"train labels must be int64 of shape \(6,\)"),
        ((GREY[:, :, :8], LABELS), "train images must be square"),
        (GREY, r"train must be \(images, labels\), a Split or a torch Dataset, got Tensor"),
        ([1, 2, 3], r"train must give \(image, label\) for each index, got int"),
        ([], r"train must give \(image, label\)"),
        ([(GREY[0], 0), (GREY[0, :8], 1)], "train must have images of one shape"),
    ],
)
def test_anything_else_is_refused(train: Any, message: str) -> None:
    with pytest.raises(TsyndError, match=message):
        from_arrays(train, (GREY, LABELS), (GREY, LABELS))

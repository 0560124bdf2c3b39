"""What every data set looks like, wherever it comes from: three splits of 8-bit images with labels, checked once."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from tsynd.data.splits import stratified
from tsynd.errors import TsyndError, unknown

TASKS = ("binary", "multi-class", "ordinal", "multi-label")
SPLITS = ("train", "val", "test")
# Smaller images vanish in the networks' strides.
SMALLEST = 16


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Attributes:
        images: (N, C, H, W) uint8, 0 to 255.
        labels: (N,) int64 class numbers; for multi-label tasks (N, L) int64, each 0 or 1.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Split({len(self)} images of {' x '.join(map(str, self.images.shape[1:]))})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training, a validation and a test split of one classification task, checked when it is made.

    Attributes:
        name: as `tsynd.load` takes it, or the name of the file or folder.
        train, val, test: none is empty, and every class is present in `train`.
        classes: the name of class 0, 1, … (multi-label: of each label).
        task: "binary", "multi-class", "ordinal" or "multi-label".
        licence: of the images.
        citation: how to cite them.
        source: the address or path they came from.

    Raises:
        TsyndError: anything else; the message names the split and what would have been right.

    >>> split = Split(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    >>> dataset = Dataset("toy", split, split, split, ("benign", "malignant"), "binary", "CC BY 4.0")
    >>> dataset.channels, dataset.size, dataset.subset(per_class=1, seed=0).train
    (1, 28, Split(2 images of 1 x 28 x 28))
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    task: str
    licence: str
    citation: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        count = len(self.classes)
        if count < (1 if self.task == "multi-label" else 2) or (self.task == "binary" and count > 2):
            needed = {"binary": "2 classes", "multi-label": "at least 1 label"}.get(self.task, "at least 2 classes")
            raise TsyndError(f"{self.name}: a {self.task} task needs {needed}, got {count}")
        for split in SPLITS:
            _check_images(f"{self.name}: {split}", getattr(self, split).images)
            _check_labels(f"{self.name}: {split}", getattr(self, split), count, self.task)
            if getattr(self, split).images.shape[1:] != self.train.images.shape[1:]:
                found = tuple(getattr(self, split).images.shape[1:])
                raise TsyndError(f"{self.name}: {split} images are {found}, train images {tuple(self.train.images.shape[1:])}")
        if self.task != "multi-label":
            present = set(self.train.labels.unique().tolist())
            for label, name in enumerate(self.classes):
                if label not in present:
                    raise TsyndError(f"{self.name}: class {label} ({name!r}) has no image in train")

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for RGB."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """Height, which is the width too, in pixels."""
        return int(self.train.images.shape[-1])

    def subset(self, per_class: int | Literal["all"] | None, seed: int) -> "Dataset":
        """The same data set with `per_class` training images of each class; `val` and `test` stay whole.

        Stratified, the same on every platform, and nested: for the same seed, 25 per class contains 10 per class.
        "all" or None keeps the whole training set.

        Raises:
            TsyndError: `per_class` below 1 or larger than the smallest class, or a multi-label task.
        """
        chosen = self.subset_index(per_class, seed)
        return replace(self, train=Split(self.train.images[chosen], self.train.labels[chosen]))

    def subset_index(self, per_class: int | Literal["all"] | None, seed: int) -> Tensor:
        """Where the images of `subset(per_class, seed)` stand in `train`: int64 positions, ascending. Raises as `subset`."""
        if per_class is None or per_class == "all":
            return torch.arange(len(self.train))
        if self.task == "multi-label":
            raise TsyndError(f"{self.name}: subsets of multi-label data are not supported yet, only per_class='all'")
        return stratified(self.train.labels, self.classes, per_class, seed)


def _check_images(where: str, images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise TsyndError(f"{where} images must be uint8 of shape (N, C, H, W), got {images.dtype} of {tuple(images.shape)}")
    if len(images) == 0:
        raise TsyndError(f"{where} has no images")
    _, channels, height, width = images.shape
    if channels not in (1, 3):
        raise TsyndError(f"{where} images must have 1 channel (grey) or 3 (RGB), got {channels}")
    if height != width or height < SMALLEST:
        raise TsyndError(f"{where} images must be square, at least {SMALLEST} px, got {height} x {width} px")


def _check_labels(where: str, split: Split, count: int, task: str) -> None:
    labels = split.labels
    shape, largest = ((len(split), count), 1) if task == "multi-label" else ((len(split),), count - 1)
    if labels.dtype != torch.int64 or tuple(labels.shape) != shape:
        raise TsyndError(f"{where} labels must be int64 of shape {shape}, got {labels.dtype} of {tuple(labels.shape)}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > largest:
        raise TsyndError(f"{where} labels must lie between 0 and {largest}, found {low if low < 0 else high}")

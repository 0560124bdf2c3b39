"""What every data set looks like, wherever it comes from: three splits of 8-bit images with labels, checked once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from tsynd.data.splits import proportional, stratified
from tsynd.errors import TsyndError
from tsynd.utils.validation import check_name

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
        groups: (N,) int64, or None: images with the same number, of one patient say, belong together.
        subgroups: by name, (N,) bool: parts of the images that are reported on their own.
        names: (N,) texts, or None: the file of each image, relative to the folder or CSV.

    `split[index]` takes images with all that belongs to them.
    """

    images: Tensor
    labels: Tensor
    groups: Tensor | None = None
    subgroups: Mapping[str, Tensor] = field(default_factory=dict)
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} images of {' x '.join(map(str, self.images.shape[1:]))})"

    def __getitem__(self, chosen: Tensor | slice) -> Self:
        places = chosen.cpu().numpy() if isinstance(chosen, Tensor) else chosen
        groups = None if self.groups is None else self.groups[chosen]
        subgroups = {name: members[chosen] for name, members in self.subgroups.items()}
        names = None if self.names is None else tuple(np.array(self.names, dtype=object)[places])
        some = {"images": self.images[chosen], "labels": self.labels[chosen]}
        return replace(self, groups=groups, subgroups=subgroups, names=names, **some)

    def to_tensor_dataset(self) -> TensorDataset:
        """Convert to torch's own kind: pairs of an image in [0, 1], (C, H, W) float, and its label; images take 4 bytes a value.

        >>> split = Split(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 1]))
        >>> image, label = split.to_tensor_dataset()[1]
        >>> image.shape, int(label)
        (torch.Size([1, 28, 28]), 1)
        """
        return TensorDataset(self.images.float() / 255, self.labels)


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
        notes: what a user should know of them, such as that one patient may be in several splits; a sentence each.
        group_names: the name of group 0, 1, …; images whose group has a higher number, or -1, stand alone.

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
    notes: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name("task", self.task, TASKS)
        count = len(self.classes)
        if count < (1 if self.task == "multi-label" else 2) or (self.task == "binary" and count > 2):
            needed = {"binary": "2 classes", "multi-label": "at least 1 label"}.get(self.task, "at least 2 classes")
            raise TsyndError(f"{self.name}: a {self.task} task needs {needed}, got {count}")
        for name in SPLITS:
            split: Split = getattr(self, name)
            _check_split(f"{self.name}: {name}", split, count, self.task)
            if (found := split.images.shape[1:]) != (wanted := self.train.images.shape[1:]):
                raise TsyndError(f"{self.name}: {name} images are {tuple(found)}, train images {tuple(wanted)}")
        if self.task != "multi-label":
            present = set(self.train.labels.unique().tolist())
            for label, name in enumerate(self.classes):
                if label not in present:
                    raise TsyndError(f"{self.name}: class {label} ({name!r}) has no image in train")

    @property
    def multi_label(self) -> bool:
        """Whether an image can have several labels, or none."""
        return self.task == "multi-label"

    def place_of(self, split: str, position: int) -> tuple[str, str]:
        """Name and group of an image: its file, or its position in the split where it has none; the group may be empty."""
        part: Split = getattr(self, split)
        group = -1 if part.groups is None else int(part.groups[position])
        name = str(position) if part.names is None else part.names[position]
        if not self.group_names:
            return name, "" if part.groups is None else str(group)
        return name, self.group_names[group] if 0 <= group < len(self.group_names) else ""

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for RGB."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """Height, which is the width too, in pixels."""
        return int(self.train.images.shape[-1])

    def subset(self, per_class: int | Literal["all"] | None = None, seed: int = 0, *, fraction: float | None = None) -> "Dataset":
        """The same data set with a small training set, and a validation set that is smaller in proportion; `test` stays whole.

        Stratified, the same on every platform, and nested: for the same seed, 25 per class contains 10 per class. Images of
        one group stay together. A multi-label image counts for each of its labels. Of `val` the same fraction is taken as of
        `train`, by `tsynd.data.splits.proportional`, at least one image of each class that it has.

        Args:
            per_class: training images of each class, at least where groups or several labels an image make it more; "all"
                or None for the whole set.
            seed: which of the many possible subsets.
            fraction: of the training images, above 0 and at most 1, in place of `per_class`: classes keep their shares.

        Raises:
            TsyndError: `per_class` below 1 or larger than the smallest class, a fraction out of range, or both given.

        >>> split = Split(torch.zeros(40, 1, 28, 28, dtype=torch.uint8), torch.arange(40) % 2)
        >>> small = Dataset("toy", split, split, split, ("a", "b"), "binary", "CC BY 4.0").subset(fraction=0.25)
        >>> len(small.train), len(small.val), len(small.test)
        (10, 10, 40)
        """
        chosen = self.subset_index(per_class, seed, fraction=fraction)
        share = len(chosen) / len(self.train)
        val = proportional(self.val.labels, self.classes, share, seed, self.val.groups)
        return replace(self, train=self.train[chosen], val=self.val if share == 1 else self.val[val])

    def subset_index(
        self, per_class: int | Literal["all"] | None = None, seed: int = 0, *, fraction: float | None = None
    ) -> Tensor:
        """Where the images of `subset` stand in `train`: int64 positions, ascending. Arguments and errors as in `subset`."""
        if fraction is not None:
            if per_class is not None:
                raise TsyndError(f"give per_class or fraction, not both: got per_class={per_class!r} and fraction={fraction!r}")
            return proportional(self.train.labels, self.classes, fraction, seed, self.train.groups)
        if per_class is None or per_class == "all":
            return torch.arange(len(self.train))
        return stratified(self.train.labels, self.classes, per_class, seed, self.train.groups)


def _check_split(where: str, split: Split, count: int, task: str) -> None:
    images = split.images
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise TsyndError(f"{where} images must be uint8 of shape (N, C, H, W), got {images.dtype} of {tuple(images.shape)}")
    if len(images) == 0:
        raise TsyndError(f"{where} has no images")
    _, channels, height, width = images.shape
    if channels not in (1, 3):
        raise TsyndError(f"{where} images must have 1 channel (grey) or 3 (RGB), got {channels}")
    if height != width or height < SMALLEST:
        raise TsyndError(f"{where} images must be square, at least {SMALLEST} px, got {height} x {width} px")
    one_each = (len(split),)
    shape, largest = ((*one_each, count), 1) if task == "multi-label" else (one_each, count - 1)
    columns = {"labels": (split.labels, torch.int64, shape)}
    columns |= {} if split.groups is None else {"groups": (split.groups, torch.int64, one_each)}
    columns |= {f"subgroup {name!r}": (members, torch.bool, one_each) for name, members in split.subgroups.items()}
    for name, (column, kind, wanted) in columns.items():
        if column.dtype != kind or tuple(column.shape) != wanted:
            found = f"{column.dtype} of {tuple(column.shape)}"
            raise TsyndError(f"{where} {name} must be {str(kind).removeprefix('torch.')} of shape {wanted}, got {found}")
    low, high = int(split.labels.min()), int(split.labels.max())
    if low < 0 or high > largest:
        raise TsyndError(f"{where} labels must lie between 0 and {largest}, found {low if low < 0 else high}")
    if split.names is not None and len(split.names) != len(split):
        raise TsyndError(f"{where} must have {len(split)} names, one for each image, got {len(split.names)}")


def fingerprint(data: Dataset) -> str:
    """A short hash of all images and labels, so that a result says which data it was made from."""
    digest = hashlib.blake2b(digest_size=8)
    for split in (data.train, data.val, data.test):
        for images in split.images.split(1024):  # a set may be larger than memory
            digest.update(images.numpy().tobytes())
        digest.update(split.labels.numpy().tobytes())
    return digest.hexdigest()

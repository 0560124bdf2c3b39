"""Data sets from what is in memory already: NumPy arrays, tensors, or a `torch.utils.data.Dataset`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsynd.data.dataset import SPLITS, Dataset, Split
from tsynd.data.remarks import array_remarks
from tsynd.errors import TsyndError
from tsynd.utils.validation import check_range

__all__ = ["from_arrays"]


def from_arrays(
    train: Any,
    val: Any,
    test: Any,
    *,
    name: str = "arrays",
    classes: Sequence[str] | None = None,
    task: str | None = None,
    licence: str = "unknown",
) -> Dataset:
    """Make a data set from images and labels in memory.

    Each split is a pair of images and labels, a triple with groups (patients, say) too, a `Split`, or a
    `torch.utils.data.Dataset` whose items begin with an image and its label.

    Args:
        train, val, test: images are square, uint8, or float in [0, 1] (rounded to 8 bits), of shape (N, S, S) for grey ones,
            (N, S, S, C) or (N, C, S, S) with 1 or 3 channels; of a torch data set one of these without N each, or PIL images.
            Labels are whole numbers, (N,) or (N, 1); or (N, L) of 0 and 1, where several may hold. Groups are whole numbers (N,).
        name: of the data set.
        classes: names of the classes, or labels; their numbers by default.
        task: "binary", "multi-class", "ordinal" or "multi-label"; by default as the labels say, never ordinal.
        licence: of the images, for the cards of synthetic ones.

    Raises:
        TsyndError: for anything else; the message names the split.

    >>> images = torch.rand(6, 28, 28)
    >>> data = from_arrays(*[(images, torch.arange(6) % 2)] * 3, classes=["benign", "malignant"])
    >>> data.train, data.task
    (Split(6 images of 1 x 28 x 28), 'binary')
    """
    splits = {where: _split(where, given) for where, given in zip(SPLITS, (train, val, test), strict=True)}
    labels = splits["train"].labels
    count = labels.shape[1] if labels.ndim == 2 else max(int(split.labels.max()) + 1 for split in splits.values() if len(split))
    named = tuple(map(str, range(count))) if classes is None else tuple(map(str, classes))
    task = task or ("multi-label" if labels.ndim == 2 else "binary" if len(named) == 2 else "multi-class")
    notes = tuple(text for _, text in array_remarks(splits))
    return Dataset(name, splits["train"], splits["val"], splits["test"], named, task, licence, notes=notes)


def _split(where: str, given: Any) -> Split:
    if isinstance(given, Split):
        return given
    if isinstance(given, tuple | list) and len(given) in (2, 3) and all(hasattr(part, "shape") for part in given):
        images, labels, *groups = given
    elif hasattr(given, "__getitem__") and hasattr(given, "__len__") and not hasattr(given, "shape"):
        images, labels, groups = *_stacked(where, [given[place] for place in range(len(given))]), []
    else:
        raise TsyndError(f"{where} must be (images, labels), a Split or a torch Dataset, got {type(given).__name__}")
    groups = [_whole(f"{where} groups", each) for each in groups]
    return Split(_images(where, images), _whole(f"{where} labels", labels), *groups)


def _stacked(where: str, items: list[Any]) -> tuple[np.ndarray | Tensor, np.ndarray]:
    """Images and labels of a torch data set, as arrays; images stay tensors where they are."""
    for item in items or [None]:
        if not isinstance(item, tuple | list) or len(item) < 2:
            raise TsyndError(f"{where} must give (image, label) for each index, got {type(item).__name__}")
    pictures = [np.asarray(item[0]) for item in items]
    if len(shapes := {picture.shape for picture in pictures}) > 1:
        raise TsyndError(f"{where} must have images of one shape, found {sorted(shapes)[:3]}")
    images, labels = np.stack(pictures), np.stack([np.asarray(item[1]) for item in items])
    return torch.from_numpy(images) if isinstance(items[0][0], Tensor) else images, labels


def _images(where: str, given: Any) -> Tensor:
    """Images as (N, C, S, S) of 8 bits; where the channels could be either axis, last in arrays and first in tensors."""
    images = torch.as_tensor(given)
    if images.ndim == 3:
        images = images.unsqueeze(1)
    if images.ndim != 4:
        raise TsyndError(f"{where} images must be (N, S, S), (N, S, S, C) or (N, C, S, S), got shape {tuple(images.shape)}")
    first, last = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
    if last and not (first and isinstance(given, Tensor)):
        images = images.permute(0, 3, 1, 2)
    if images.dtype == torch.uint8:
        return images.contiguous()
    if not images.is_floating_point():
        raise TsyndError(f"{where} images must be uint8, or float in [0, 1], got {images.dtype}: divide by the largest value")
    check_range(**{f"{where} images": images})
    return (images * 255).round().to(torch.uint8).contiguous()


def _whole(what: str, given: Any) -> Tensor:
    """Whole numbers as int64: (N,), or several columns (N, L)."""
    if (kind := getattr(getattr(given, "dtype", None), "kind", "i")) not in "iubf":
        raise TsyndError(f"{what} must be whole numbers, got {'texts' if kind in 'USOT' else given.dtype}: number them first")
    values = torch.as_tensor(given)
    numbers = values.long()
    if values.is_complex() or not bool((numbers == values).all()):
        raise TsyndError(f"{what} must be whole numbers, got {values.dtype}")
    return numbers.squeeze(1) if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers

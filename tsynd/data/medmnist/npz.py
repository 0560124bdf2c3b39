"""Files in MedMNIST layout: six arrays, read by numpy without pickle and checked before anything is made of them."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tsynd.data.dataset import SMALLEST, SPLITS, Dataset, Split
from tsynd.data.medmnist.memory_map import is_large, is_unpacked, mapped
from tsynd.data.remarks import array_remarks
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.utils.downloads import checksum
from tsynd.utils.progress import Progress
from tsynd.utils.safe_parsing import open_npz

UNKNOWN_LICENCE = "not stated"
NAMES = [f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels")]


def read_npz(path: Path, size: int | None = None, progress: Progress | None = None) -> Dataset:
    """Read a data set from an `.npz` in MedMNIST layout; its name is the file's, its classes are "0", "1", ….

    The six arrays are `{train,val,test}_images`, uint8 of (N, H, W) or (N, H, W, 3), and `{train,val,test}_labels`,
    integers of (N,) or (N, 1): binary or multi-class; or of (N, L), each 0 or 1: multi-label. Others are ignored. Another `size`
    in pixels than the file's resizes, antialiased. A file that is too large for memory is unpacked (see `memory_map`).

    Raises:
        TsyndError: the file is not there, truncated, pickled, or its arrays are not as above.
    """
    splits = read_splits(path, size, progress=progress)
    labels = splits["train"].labels
    if labels.ndim == 2:
        classes, task = tuple(str(label) for label in range(labels.shape[1])), "multi-label"
    else:
        present = labels.unique()
        if not torch.equal(present, torch.arange(len(present))):
            found = ", ".join(str(label) for label in present[:10].tolist())
            raise TsyndError(f"{path}: train_labels must be 0, 1, … without a gap, found {found}{', …' * (len(present) > 10)}")
        classes, task = tuple(map(str, present.tolist())), "binary" if len(present) == 2 else "multi-class"
    with open_npz(path) as file:
        others = ", ".join(sorted(set(file.files) - set(NAMES)))  # they may be the patients
    left = "not read: images of one patient may be in train and in test; tsynd.data.from_arrays takes groups"
    notes = (*([f"{path.name} has also {others}, {left}"] if others else []), *(text for _, text in array_remarks(splits)))
    return Dataset(
        path.stem, splits["train"], splits["val"], splits["test"], classes, task, UNKNOWN_LICENCE, source=str(path), notes=notes
    )


def read_splits(
    path: Path, size: int | None = None, *, md5: str | None = None, progress: Progress | None = None
) -> dict[str, Split]:
    """The three splits of an `.npz` in MedMNIST layout, by name, as tensors; see `read_npz`.

    Images that are too large for memory are mapped. With the file's `md5`, if it is known, they are not read to compute it,
    and the file itself is not needed once it is unpacked.
    """
    arrays, splits = _read_arrays(path, md5, progress), {}
    for split in SPLITS:
        images, labels = torch.from_numpy(arrays[f"{split}_images"]), arrays[f"{split}_labels"]
        splits[split] = Split(images if size is None else resize(images, size), _labels(path, split, labels, len(images)))
    return splits


def resize(images_BCHW: Tensor, size: int) -> Tensor:
    """Resize 8-bit images to `size` x `size` px, bicubic and antialiased; images of that size come back as they are.

    >>> resize(torch.full((2, 1, 64, 64), 7, dtype=torch.uint8), 28).shape
    torch.Size([2, 1, 28, 28])
    """
    if size < SMALLEST:
        raise TsyndError(f"size must be at least {SMALLEST} px, got {size}")
    if tuple(images_BCHW.shape[-2:]) == (size, size):
        return images_BCHW
    parts = [
        F.interpolate(part.float(), (size, size), mode="bicubic", antialias=True).round().clamp(0, 255).to(torch.uint8)
        for part in images_BCHW.split(256)
    ]
    return torch.cat(parts)


def _read_arrays(path: Path, md5: str | None, progress: Progress | None) -> dict[str, np.ndarray]:
    """The six arrays, checked; images are (N, C, H, W)."""
    if md5 and is_unpacked(md5):
        return mapped(path, md5, _check_images)
    if not path.is_file():
        raise DataUnavailable(f"no such file: {path}")
    try:
        with open_npz(path) as file:
            missing = [name for name in NAMES if name not in file.files]
            if missing:
                raise TsyndError(f"{path} lacks {', '.join(missing)}; it has {', '.join(file.files) or 'nothing'}")
            if "source_index" in file.files:
                what = "synthetic images, for training only: give the real data, and these with --synthetic"
                raise TsyndError(f"{path} holds {what}")
            if is_large(path):
                return mapped(path, md5 or checksum(path), _check_images, progress)
            arrays = {name: file[name] for name in NAMES}
            for name in NAMES[::2]:
                array, where = arrays[name], f"{path}: {name}"
                if np.issubdtype(array.dtype, np.floating) and np.isnan(array).any():
                    raise TsyndError(f"{where} must be 8-bit (uint8, 0 to 255), got {array.dtype}, with NaN")
                _check_images(where, array.dtype, array.shape)
                arrays[name] = np.ascontiguousarray(array.reshape(*array.shape[:3], -1).transpose(0, 3, 1, 2))
            return arrays
    except TsyndError:
        raise
    except Exception as error:  # zipfile, zlib, numpy and Python's own parser raise a different one for each kind of damage
        if "pickle" in str(error):
            what = "Python objects (a pickle), which are never opened: save plain uint8 arrays"
            raise TsyndError(f"{path} is no .npz, or holds {what}") from error
        raise TsyndError(f"{path} is truncated or damaged: it cannot be read as an .npz ({error})") from error


def _check_images(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if dtype != np.uint8:
        raise TsyndError(f"{name} must be 8-bit (uint8, 0 to 255), got {dtype}")
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))):
        raise TsyndError(f"{name} must be (N, H, W), grey, or (N, H, W, 3), RGB, got {shape}")
    if shape[0] == 0:
        raise TsyndError(f"{name} is empty")
    if shape[1] != shape[2] or shape[1] == 0:
        raise TsyndError(f"{name} must be square, got {shape[1]} x {shape[2]} px: pad or crop them first")


def _labels(path: Path, split: str, labels: np.ndarray, count: int) -> Tensor:
    name = f"{path}: {split}_labels"
    if labels.dtype.kind not in "iub":
        found = f"{labels.dtype}, with NaN" if labels.dtype.kind == "f" and np.isnan(labels).any() else str(labels.dtype)
        raise TsyndError(f"{name} must be integers, got {found}")
    if labels.ndim not in (1, 2) or 0 in labels.shape:
        raise TsyndError(f"{name} must be (N,) or (N, 1), one class each, or (N, L), multi-label, got {labels.shape}")
    if len(labels) != count:
        raise TsyndError(f"{name} has {len(labels)} labels for {count} images")
    several, low, high = labels.ndim == 2 and labels.shape[1] > 1, labels.min(), labels.max()
    if low < 0 or (several and high > 1):
        wanted = "0 or 1 (multi-label)" if several else "at least 0"
        raise TsyndError(f"{name} must be {wanted}, found {low if low < 0 else high}")
    values = torch.from_numpy(labels.astype(np.int64))
    return values if several else values.flatten()

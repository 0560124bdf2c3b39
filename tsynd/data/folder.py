"""A folder of your own images, with one folder per class: decoded, padded to squares, resized and split."""

import unicodedata
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from tsynd.data.dataset import SMALLEST, SPLITS, Dataset, Split
from tsynd.data.npz import UNKNOWN_LICENCE
from tsynd.data.splits import shuffled
from tsynd.errors import TsyndError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
# Without split folders: a tenth of each class for validation, a fifth for test.
VAL_SHARE, TEST_SHARE = 0.1, 0.2

ClassFiles = dict[str, list[Path]]


def read_folder(path: Path, size: int = 28) -> Dataset:
    """Read a data set from `class/*.png`, or from `train/class/*.png`, `val/class/…` and `test/class/…`.

    PNG, JPEG, BMP and TIFF, 8-bit grey or RGB. An RGB image without any colour counts as grey; if one
    image has colour, all become RGB. An image that is not square is padded
    to a square by repeating its edge, on both sides alike, then resized (bicubic, antialiased). Classes are numbered in
    the order of their names. Hidden files and files with other endings are passed over.

    Without split folders each class is split 70/10/20 by a hash of the file names, the same on every platform. With
    `train` and `test` only, `val` is a tenth of `train`. Splits are by image: if several images are of one patient, make
    the split folders yourself.

    Args:
        path: the folder; nothing is written into it.
        size: height and width of the images in pixels.

    Raises:
        TsyndError: no class folders, a single class, a class without images, classes that differ between splits, or
            an image that cannot be read or is not 8-bit grey or RGB; the message names it.
    """
    if size < SMALLEST:
        raise TsyndError(f"size must be at least {SMALLEST} px, got {size}")
    files = _splits(path)
    classes = tuple(sorted(files["train"]))
    images: dict[str, list[Image.Image]] = {
        split: [read_image(file, size) for name in classes for file in files[split][name]] for split in SPLITS
    }
    mode = "RGB" if any(image.mode == "RGB" for group in images.values() for image in group) else "L"
    splits = {}
    for split in SPLITS:
        labels = [label for label, name in enumerate(classes) for _ in files[split][name]]
        pixels = np.stack([np.asarray(image.convert(mode)).reshape(size, size, -1) for image in images[split]])
        splits[split] = Split(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels))
    task = "binary" if len(classes) == 2 else "multi-class"
    name = path.resolve().name
    return Dataset(name, splits["train"], splits["val"], splits["test"], classes, task, UNKNOWN_LICENCE, source=str(path))


def _splits(path: Path) -> dict[str, ClassFiles]:
    """The files of each class in each split, from split folders if there are any, else divided here."""
    folders = _folders(path)
    named = {SPLIT_NAMES[folder.name.lower()]: folder for folder in folders if folder.name.lower() in SPLIT_NAMES}
    if not named:
        return _divide(_classes(path), {"test": TEST_SHARE, "val": VAL_SHARE})
    if len(named) != len(folders):
        others = sorted({folder.name for folder in folders} - {folder.name for folder in named.values()})
        raise TsyndError(f"{path} has split folders ({', '.join(named)}) beside others ({', '.join(others)}): use one kind")
    if "train" not in named or "test" not in named:
        raise TsyndError(f"{path} has {', '.join(named)} but no {'test' if 'train' in named else 'train'} folder")
    splits = {split: _classes(folder) for split, folder in named.items()}
    for split, files in splits.items():
        if set(files) != set(splits["train"]):
            differing = ", ".join(sorted(set(files) ^ set(splits["train"])))
            raise TsyndError(f"{path}: {named[split].name} and train must have the same classes, they differ in {differing}")
    return splits if "val" in splits else {**splits, **_divide(splits["train"], {"val": VAL_SHARE})}


def _classes(path: Path) -> ClassFiles:
    """The image files of each class folder, by class name, in the order of their names."""
    classes = {folder.name: folder for folder in _folders(path)}
    if len(classes) < 2:
        found = f"only {next(iter(classes))!r}" if classes else "none"
        raise TsyndError(f"{path} must have a folder for each class, at least two, found {found}")
    files = {}
    for name, folder in classes.items():
        if inner := _folders(folder):
            raise TsyndError(f"{folder} must hold images only, found the folder {inner[0].name!r} in it")
        files[name] = [file for file in _visible(folder) if file.suffix.lower() in ENDINGS]
        if not files[name]:
            raise TsyndError(f"{folder} has no images (files that end in {', '.join(ENDINGS)})")
    return files


def _divide(classes: ClassFiles, shares: dict[str, float]) -> dict[str, ClassFiles]:
    """Take a share of each class for each split named, at least one image; what is left is `train`."""
    splits: dict[str, ClassFiles] = {split: {} for split in ("train", *shares)}
    for name, files in classes.items():
        if len(files) <= len(shares):
            raise TsyndError(f"class {name!r} has {len(files)} image(s), too few for {' and '.join(splits)}: at least one each")
        keys = [unicodedata.normalize("NFC", f"{name}/{file.name}") for file in files]
        order = [files[position] for position in shuffled(keys, seed=0)]
        for split, share in shares.items():
            count = max(1, round(share * len(files)))
            splits[split][name], order = sorted(order[:count]), order[count:]
        splits["train"][name] = sorted(order)
    return splits


def _visible(path: Path) -> list[Path]:
    """What is in a folder, in the order of the names, without hidden files and what macOS adds to archives."""
    return sorted(entry for entry in path.iterdir() if not entry.name.startswith((".", "__MACOSX")))


def _folders(path: Path) -> list[Path]:
    return [entry for entry in _visible(path) if entry.is_dir()]


def read_image(file: Path, size: int) -> Image.Image:
    """One image as 8-bit grey or RGB, upright, padded to a square and resized."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                deep = any(";16" in str(tile[3]) for tile in image.tile)
                mode = f"{image.mode}, 16 bits" if deep or image.mode.startswith("I") else image.mode
                frames = getattr(image, "n_frames", 1)
                if mode in ("1", "L", "RGB") and frames == 1:
                    upright = ImageOps.exif_transpose(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TsyndError(f"{file} claims to have more than {Image.MAX_IMAGE_PIXELS} pixels: resize it first") from error
    except Exception as error:  # Pillow's decoders fail in many ways: OSError, SyntaxError, struct.error, …
        raise TsyndError(f"{file} cannot be read as an image ({error})") from error
    if frames != 1:
        raise TsyndError(f"{file} has {frames} frames: only single images are read, save the one you want")
    if mode not in ("1", "L", "RGB"):
        raise TsyndError(f"{file} must be 8-bit grey or RGB, got mode {mode}: convert it first")
    colourless = len({band.tobytes() for band in upright.split()}) == 1
    return _square(upright.convert("L") if colourless else upright).resize((size, size), Image.Resampling.BICUBIC)


def _square(image: Image.Image) -> Image.Image:
    """Pad to a square by repeating the edge, on both sides alike."""
    wide, high = image.size
    side = max(wide, high)
    if wide == high:
        return image
    before = [(side - high) // 2, (side - wide) // 2]
    after = [side - high - before[0], side - wide - before[1]]
    margins = [*zip(before, after, strict=True), (0, 0)]
    return Image.fromarray(np.pad(np.asarray(image), margins[: 2 + (image.mode == "RGB")], mode="edge"))

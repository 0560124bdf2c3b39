"""One door for every data set: by name, by folder, by file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tsynd.data.dataset import Dataset
from tsynd.data.image_folder.image_file import numbered
from tsynd.data.image_folder.reading import read_folder
from tsynd.data.medmnist.download import load_medmnist
from tsynd.data.medmnist.npz import read_npz
from tsynd.data.medmnist.registry import REGISTRY
from tsynd.data.phantom import phantom
from tsynd.data.phantom.phantoms import OPTIONS
from tsynd.errors import DataUnavailable, TsyndError, unknown
from tsynd.utils.progress import Progress
from tsynd.utils.rules import validated
from tsynd.utils.validation import check_name

DEFAULT_SIZE = 28


@validated
def load(
    name: str | os.PathLike[str],
    size: int | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    *,
    skip_unreadable: bool = False,
    crop: bool = False,
    ignore: Sequence[str] = (),
    progress: Progress | None = None,
    **phantom_options: Any,
) -> Dataset:
    """Load a data set: train, val and test images and labels, with classes, task and licence.

    Args:
        name: a two-dimensional MedMNIST set (`breastmnist`, `chestmnist`, …: `tsynd data list`); `phantom`, with options if
            need be, as in `phantom:seed=1,count=500` or `phantom:withheld=small-irregular,kept=0.1`; a folder with one
            folder of images per class, or with such folders in `train`, `val` and `test`; a `.csv` with the columns path and
            label, and if need be group and split; or an `.npz` in MedMNIST layout.
            A name comes before a folder that is called the same: write `./phantom` for the folder.
        size: height and width in pixels. None means 28, for an `.npz` its own size. Files and folders are resized to
            any size, MedMNIST has files at 28, 64, 128 and 224.
        root: the only folder to look for MedMNIST files in and to download them to, instead of the folders in the
            environment variable TSYND_DATA and `~/.medmnist`.
        download: False never touches the network.
        skip_unreadable: leave out images of a folder or CSV that cannot be read, in place of an error.
        crop: cut images of a folder or CSV that are not square to the square in their middle, instead of padding them.
        ignore: names of folders and files below a folder that are passed over, with `*` for any letters, such as "masks".
        progress: called with the bytes of a file that are downloaded or unpacked; with the images of a folder or CSV that
            are decoded.
        phantom_options: for `phantom` only: the same options as in its name.

    Raises:
        TsyndError: the name, size or an option is unknown, or the data are not as they should be.
        DataUnavailable: the data are not there and cannot be downloaded.

    >>> load("phantom", count=20, seed=1).name
    'phantom:seed=1,count=20'
    """
    text, side = os.fspath(name), DEFAULT_SIZE if size is None else size
    chosen = names_to_ignore(ignore)
    if (crop or chosen) and not is_images(text):
        raise TsyndError(f"crop and ignore are for folders and CSVs of images, and {text!r} is none")
    if text.partition(":")[0] == "phantom":
        return phantom(size=side, **_options(text, phantom_options))
    if phantom_options:
        raise TsyndError(f"options {', '.join(phantom_options)} are for phantoms only, got them with {text!r}")
    if text in REGISTRY:
        return load_medmnist(text, side, root, download, progress)
    path = Path(text).expanduser()
    if is_images(text):
        return read_folder(path, side, skip_unreadable=skip_unreadable, crop=crop, ignore=chosen, progress=progress)
    if path.is_file():
        if path.suffix.lower() != ".npz":
            raise TsyndError(f"a data file must be an .npz in MedMNIST layout, or a .csv of paths and labels, got {text}")
        return read_npz(path, size, progress)
    if path.suffix or path.name != text:
        raise DataUnavailable(f"no such file or folder: {path.absolute()}")
    raise TsyndError(f"{unknown('data set', text, [*REGISTRY, 'phantom'])}, and no folder or file is called so")


def names_to_ignore(ignore: Any) -> tuple[str, ...]:
    """The names of folders and files that are passed over, of which one may be given as a text."""
    given = (ignore,) if isinstance(ignore, str) else ignore
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) and name for name in given):
        raise TsyndError(f"ignore must be names of folders or files, such as ['masks'], got {ignore!r}")
    return tuple(given)


def reading_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """How a run's configuration says that files become images: what `load` takes beside the name and the size."""
    return {name: config[name] for name in ("skip_unreadable", "crop", "ignore") if config.get(name)}


def is_images(name: str) -> bool:
    """Whether `load` takes this for a folder or a CSV of image files, not for a data set by name or an `.npz`."""
    path = numbered(Path(name).expanduser())[0]  # table.csv#2: a fold
    named = not name or name in REGISTRY or name.partition(":")[0] == "phantom"  # whatever folder is called the same
    return not named and (path.is_dir() or (path.is_file() and path.suffix.lower() == ".csv"))


def _options(name: str, keywords: dict[str, Any]) -> dict[str, Any]:
    """The options in `phantom:seed=1,count=500` and the keywords together; numbers are read as such."""
    options: dict[str, Any] = {}
    pairs = [pair.partition("=") for pair in name.partition(":")[2].split(",") if pair]
    for key, value in [(key.strip(), value.strip()) for key, _, value in pairs] + list(keywords.items()):
        check_name("phantom option", key, OPTIONS)
        if key in options:
            raise TsyndError(f"phantom option {key!r} is given twice, with {name!r}")
        kind, words = (float, "a number") if key == "kept" else (int, "a whole number")
        try:
            options[key] = value if key == "withheld" else kind(str(value))
        except ValueError:
            raise TsyndError(f"phantom option {key!r} must be {words}, got {value!r}") from None
    return options

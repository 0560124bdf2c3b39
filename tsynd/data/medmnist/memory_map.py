"""Sets too large for memory: an `.npz` is compressed and cannot be mapped, so it is unpacked once into the cache, by its MD5."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from tsynd.data.dataset import SPLITS
from tsynd.errors import TsyndError
from tsynd.utils.cache import cache_folder, new_array
from tsynd.utils.downloads import megabytes
from tsynd.utils.locks import alone
from tsynd.utils.progress import Progress, Step, silent
from tsynd.utils.safe_parsing import array_header

# Files with more bytes of images than this are mapped; smaller ones are read into memory.
LARGE = 2 * 10**9
# Bytes of images that are unpacked at a time.
BLOCK = 1 << 24

Check = Callable[[str, np.dtype, tuple[int, ...]], None]
"""Refuses a split's images by their type and shape, before anything is unpacked."""


def unpacked_folder(md5: str) -> Path:
    """Where the arrays of a file with this MD5 are, or would be."""
    return cache_folder() / "unpacked" / md5


def is_unpacked(md5: str) -> bool:
    """Whether they are there, all of them."""
    return all((unpacked_folder(md5) / f"{split}_{kind}.npy").is_file() for split in SPLITS for kind in ("images", "labels"))


def is_large(path: Path) -> bool:
    """Whether a file holds too many bytes of images for memory; False for what is no zip file, which others refuse."""
    try:
        with zipfile.ZipFile(path) as file:
            return sum(member.file_size for member in file.infolist() if member.filename.endswith("_images.npy")) > LARGE
    except (OSError, zipfile.BadZipFile):
        return False


def mapped(path: Path, md5: str, check: Check, progress: Progress | None = None) -> dict[str, np.ndarray]:
    """The six arrays of a file in MedMNIST layout, images (N, C, H, W) and mapped; unpacked first where they are not yet.

    The file is not touched when it is unpacked already. Pages that are written to are private copies: nothing changes on disk.
    TsyndError when the cache cannot be written to; errors of many kinds when the file is damaged or lacks an array.
    """
    folder = unpacked_folder(md5)
    if not is_unpacked(md5):
        try:
            with alone(folder.parent / f".{md5}.lock"):
                if not is_unpacked(md5):
                    _unpack(path, folder, check, progress or silent)
        except OSError as error:
            if error.errno is None:  # of the file, not of the disk
                raise
            raise TsyndError(
                f"{path} cannot be unpacked into {folder.parent}: {error.strerror}; TSYND_CACHE can name another folder"
            ) from error
    try:
        labels = {f"{split}_labels": np.load(folder / f"{split}_labels.npy", allow_pickle=False) for split in SPLITS}
        # Mode "c": torch warns of arrays that cannot be written to.
        images = {f"{split}_images": np.load(folder / f"{split}_images.npy", mmap_mode="c") for split in SPLITS}
    except Exception as error:  # numpy raises a different one for each kind of damage
        raise TsyndError(f"{folder} is damaged ({error}): delete it, it will be made again") from error
    return labels | images


def _unpack(path: Path, folder: Path, check: Check, say: Progress) -> None:
    """Unpack into a new folder beside the target, which then takes its name: it appears whole or not at all."""
    for left in folder.parent.glob(f".{folder.name}.unpacking-*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.unpacking-"))
    try:
        with zipfile.ZipFile(path) as file:
            total = sum(file.getinfo(f"{split}_images.npy").file_size for split in SPLITS)
            text, done = f"unpacking {path} into {folder.parent}, once ({megabytes(total)})", 0
            say(Step("load", done, total, text))
            for split in SPLITS:
                with file.open(f"{split}_labels.npy") as member:
                    np.save(temporary / f"{split}_labels.npy", np.lib.format.read_array(member, allow_pickle=False))
                with file.open(f"{split}_images.npy") as member:
                    for count in _unpack_images(f"{path}: {split}_images", member, temporary / f"{split}_images.npy", check):
                        done += count
                        say(Step("load", done, total, text))
        if folder.exists():  # not all of it
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack_images(name: str, member: IO[bytes], target: Path, check: Check) -> Iterator[int]:
    """Copy one array to a file of its own, channels first, a block at a time; gives the bytes of each block."""
    shape, by_columns, dtype = array_header(member)
    check(name, dtype, shape)
    if by_columns:
        raise TsyndError(f"{name} is stored by columns (Fortran order), which cannot be unpacked in parts: store it by rows")
    row = int(np.prod(shape[1:]))
    channels_last = (*shape[1:], 1) if len(shape) == 3 else shape[1:]
    height, width, channels = channels_last
    out = new_array(target, (shape[0], channels, height, width))
    for start in range(0, shape[0], step := max(1, BLOCK // row)):
        count = min(step, shape[0] - start)
        block = np.frombuffer(member.read(count * row), np.uint8).reshape(count, *channels_last)
        out[start : start + count] = block.transpose(0, 3, 1, 2)
        yield block.nbytes
    out.flush()

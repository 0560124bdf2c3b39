"""Arrays in files: an `.npz` is opened without pickle, and only if what it declares is what such a file can hold."""

import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from tsynd.errors import TsyndError

MAGIC = b"\x93NUMPY"
# A file whose arrays take more bytes than this, and so many times its own size, is a bomb: images compress 50 times at most.
HARMLESS, SWOLLEN = 64 * 10**6, 200


@contextmanager
def open_npz(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an `.npz`; its arrays are read when they are taken. Nothing is decompressed yet but the head of each array.

    Raises:
        TsyndError: when it is a single array, or a bomb: a small file that would fill the memory or the disk.
        Exception: of many kinds, here and when an array is taken, when it is damaged.
    """
    with path.open("rb") as opened, warnings.catch_warnings():  # numpy leaves a file open that is no zip file
        warnings.simplefilter("ignore")  # what numpy and Python find odd in the head of an array
        if opened.read(len(MAGIC)) == MAGIC:
            raise TsyndError(f"{path} is a single array, not an .npz of named arrays")
        opened.seek(0)
        with closing(np.load(opened, allow_pickle=False)) as file:
            _check_sizes(path, file.zip)
            yield file


def _check_sizes(path: Path, file: zipfile.ZipFile) -> None:
    """Refuse a bomb, and an array that says it is larger than what the file has of it."""
    unpacked, packed = sum(member.file_size for member in file.infolist()), path.stat().st_size
    if unpacked > max(HARMLESS, SWOLLEN * packed):
        raise TsyndError(f"{path} has {packed} bytes and would unpack to {unpacked}: no images are so small, it is not opened")
    for member in file.infolist():
        if not member.filename.endswith(".npy"):
            continue
        with file.open(member) as head:
            version = np.lib.format.read_magic(head)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(head)
        if min(shape, default=0) < 0 or (not dtype.hasobject and math.prod(shape) * dtype.itemsize > member.file_size):
            raise ValueError(f"{member.filename} says that its shape is {shape}, and has {member.file_size} bytes")

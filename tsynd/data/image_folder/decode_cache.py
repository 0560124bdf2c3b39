"""Many image files become one array: in parallel, once, in bounded memory, kept in the cache until a file changes."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tsynd.data.image_folder.image_file import fit, numbered, quiet_pillow, read_picture
from tsynd.errors import TsyndError
from tsynd.utils.cache import cache_entry, file_state, new_array
from tsynd.utils.progress import Progress, Step

Result = TypeVar("Result")

# Raised when the same file would become other pixels: what is in the cache is then made again.
DECODER_VERSION = 3
# Images that are decoded at a time: a bound of the memory.
AHEAD = 256
PIXELS, NOTES = "images.npy", "notes.json"


@dataclass
class Decoded:
    """Images of one size, and what was noticed on the way.

    Attributes:
        images: (N, C, S, S) uint8; C is 1, or 3 if one image has colour.
        failures: by position, what is wrong with an image that could not be read; its row in `images` says nothing.
        oblong: how many images are not square.
        deep: how many are grey of more than 8 bits.
        largest: the largest share of their range that one of these reaches, 0 to 1.
    """

    images: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)
    oblong: int = 0
    deep: int = 0
    largest: float = 0.0


def decode(files: list[Path], size: int, progress: Progress | None = None, *, crop: bool = False) -> Decoded:
    """Read images, from the cache if no file has changed since it was filled, else in parallel on all cores.

    What decides is each file's path and content (see `file_state`), `size` in pixels, `crop` (cut to a square, instead of padded)
    and the version of the decoder. Of one list of files and one size the cache keeps the last state. Its array is mapped: memory
    is taken for what is used. If the cache cannot be written, the array is in memory, and is made again next time.
    """
    entry = cache_entry("images", [size, *(["crop"] if crop else []), [os.path.abspath(file) for file in files]])
    state = cache_entry("states", [DECODER_VERSION, [file_state(numbered(file)[0]) for file in files]]).name
    if (found := _cached(entry / state, len(files), size)) is not None:
        return found
    with suppress(OSError):  # a full disk, say, or another process that was quicker
        entry.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=entry, prefix=".new"))
        try:
            _decode(files, size, new, progress, crop)
            for old in entry.iterdir():
                if old != new and not old.name.startswith("."):
                    shutil.rmtree(old, ignore_errors=True)
            new.rename(entry / state)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return _cached(entry / state, len(files), size) or _decode(files, size, None, progress, crop)


def in_parallel(
    work: Callable[[Path], Result], files: list[Path], text: str, progress: Progress | None = None
) -> Iterator[Result]:
    """Call `work` on each file in threads, one a core (Pillow decodes without Python's lock), and give results in order."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with quiet_pillow(), ThreadPoolExecutor(cores) as pool:
        for start in range(0, len(files), AHEAD):
            yield from pool.map(work, files[start : start + AHEAD])
            if progress:
                progress(Step("load", min(start + AHEAD, len(files)), len(files), text))


def _decode(files: list[Path], size: int, folder: Path | None, progress: Progress | None, crop: bool) -> Decoded:
    """Decode into an array that is made once, or twice if there is colour: in a file of the folder, or in memory."""

    def array(channels: int) -> np.ndarray:
        shape = (len(files), channels, size, size)
        if folder is None or not files:
            return np.empty(shape, dtype=np.uint8)
        (folder / PIXELS).unlink(missing_ok=True)
        return new_array(folder / PIXELS, shape)

    def one(file: Path) -> tuple[np.ndarray, bool, float | None] | str:
        try:
            picture = read_picture(file, size)
        except TsyndError as error:
            return str(error)
        high, wide = picture.pixels.shape[:2]
        largest = None if picture.bits == 8 else float(picture.pixels.max()) / ((1 << picture.bits) - 1)
        return fit(picture, size, crop=crop), high != wide, largest

    decoded = Decoded(array(1))
    if progress:
        progress(Step("load", 0, len(files), f"decoding {len(files)} images"))
    for position, found in enumerate(in_parallel(one, files, "decoding", progress)):
        if isinstance(found, str):
            decoded.failures[position] = found
            continue
        pixels, oblong, largest = found
        if len(pixels) > decoded.images.shape[1]:
            grey, decoded.images = decoded.images, array(3)
            for start in range(0, position, AHEAD):
                decoded.images[start : start + AHEAD] = grey[start : start + AHEAD]
        decoded.images[position] = pixels
        decoded.oblong += oblong
        decoded.deep += largest is not None
        decoded.largest = max(decoded.largest, largest or 0.0)
    if folder:  # the notes come last: they make the folder whole
        if isinstance(decoded.images, np.memmap):
            decoded.images.flush()
        notes = {name: value for name, value in vars(decoded).items() if name != "images"}
        (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")
    return decoded


def _cached(folder: Path, count: int, size: int) -> Decoded | None:
    """What a folder of the cache holds, if it is there and whole. Changes to the array stay in memory."""
    try:
        notes: dict[str, Any] = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        notes["failures"] = {int(position): text for position, text in notes["failures"].items()}
        images = np.load(folder / PIXELS, mmap_mode="c")
        whole = images.dtype == np.uint8 and images.shape in ((count, 1, size, size), (count, 3, size, size))
        return Decoded(images, **notes) if whole else None
    except Exception:  # numpy and json fail in many ways on what is damaged
        return None

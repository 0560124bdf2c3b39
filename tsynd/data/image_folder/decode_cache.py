"""Many image files become one array: in parallel, once, in bounded memory, kept in the cache until a file changes."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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

Given = TypeVar("Given")
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
        facts: by position, of each image that could be read: its channels, whether it is not square, and of grey of more than
            8 bits the share of the range that it reaches, 0 to 1, else None.
        keys: of each image, what identifies its file, with the file's state.
    """

    images: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)
    facts: dict[int, tuple[int, bool, float | None]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    @property
    def oblong(self) -> int:
        """How many images are not square."""
        return sum(oblong for _, oblong, _ in self.facts.values())

    @property
    def reached(self) -> list[float]:
        """Of each grey image of more than 8 bits, the share of the range that it reaches."""
        return [reached for _, _, reached in self.facts.values() if reached is not None]


def decode(files: list[Path], size: int, progress: Progress | None = None, *, crop: bool = False) -> Decoded:
    """Read images, from the cache if no file has changed since it was filled, else in parallel on all cores.

    What decides is each file's path and content (see `file_state`), `size` in pixels, `crop` (cut to a square, instead of padded)
    and the version of the decoder. Of one list of files and one size the cache keeps the last state. Its array is mapped: memory
    is taken for what is used. Images that another list has at the same size, say a folder's CSV, are copied from there. If the
    cache cannot be written, the array is in memory, and is made again next time.
    """
    keys = [file_key(file) for file in files]
    entry = cache_entry(f"images/{size}{'-crop' * crop}", [os.path.abspath(file) for file in files])
    state = cache_entry("states", keys).name
    found = _cached(entry / state, len(files), size)
    if found is not None and not found.failures:  # what could not be read is tried again: a decoder may be there now
        return found
    known = _known(entry.parent, size)
    with suppress(OSError):  # a full disk, say, or another process that was quicker
        entry.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=entry, prefix=".new"))
        try:
            _decode(files, keys, size, new, progress, crop, known)
            for old in entry.iterdir():
                if old != new and not old.name.startswith("."):
                    shutil.rmtree(old, ignore_errors=True)
            new.rename(entry / state)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return _cached(entry / state, len(files), size) or _decode(files, keys, size, None, progress, crop, known)


def decode_for(files: list[Path], channels: int, size: int, others: str, *, crop: bool = False) -> np.ndarray:
    """Images for a network of so many channels: (N, C, S, S) uint8, mapped where they come from the cache.

    Raises:
        TsyndError: an image cannot be read, or has colour where there is one channel, as `others` says.
    """
    decoded = decode(files, size, crop=crop)
    if decoded.failures:
        raise TsyndError(decoded.failures[min(decoded.failures)])
    if coloured := [row for row, (own, _, _) in decoded.facts.items() if own > channels]:
        raise TsyndError(f"{files[coloured[0]]} is an RGB image with colour, {others} (1 channel)")
    return np.broadcast_to(decoded.images, (len(files), channels, size, size))


def file_key(file: Path) -> str:
    """What identifies an image: its path, its file's state, and how it is decoded."""
    return cache_entry("files", [DECODER_VERSION, os.path.abspath(file), file_state(numbered(file)[0])]).name


def in_parallel(
    work: Callable[[Given], Result], files: Sequence[Given], text: str, progress: Progress | None = None
) -> Iterator[Result]:
    """Call `work` on each file in threads, one a core (Pillow decodes without Python's lock), and give results in order."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with quiet_pillow(), ThreadPoolExecutor(cores) as pool:
        for start in range(0, len(files), AHEAD):
            yield from pool.map(work, files[start : start + AHEAD])
            if progress:
                progress(Step("load", min(start + AHEAD, len(files)), len(files), text))


def _decode(
    files: list[Path],
    keys: list[str],
    size: int,
    folder: Path | None,
    progress: Progress | None,
    crop: bool,
    known: Mapping[str, tuple[Decoded, int]],
) -> Decoded:
    """Decode into an array that is made once, or twice if there is colour: in a file of the folder, or in memory."""

    def array(channels: int) -> np.ndarray:
        shape = (len(files), channels, size, size)
        if folder is None or not files:
            return np.empty(shape, dtype=np.uint8)
        (folder / PIXELS).unlink(missing_ok=True)
        return new_array(folder / PIXELS, shape)

    def one(file_and_key: tuple[Path, str]) -> tuple[np.ndarray, tuple[int, bool, float | None]] | str:
        file, key = file_and_key
        if key in known:
            other, row = known[key]
            return other.images[row, : other.facts[row][0]], other.facts[row]
        try:
            picture = read_picture(file, size)
        except TsyndError as error:
            return str(error)
        high, wide = picture.pixels.shape[:2]
        reached = None if picture.bits == 8 else float(picture.pixels.max()) / ((1 << picture.bits) - 1)
        pixels = fit(picture, size, crop=crop)
        return pixels, (len(pixels), high != wide, reached)

    decoded = Decoded(array(1), keys=keys)
    if progress:
        progress(Step("load", 0, len(files), f"decoding {len(files)} images"))
    for position, found in enumerate(in_parallel(one, list(zip(files, keys, strict=True)), "decoding", progress)):
        if isinstance(found, str):
            decoded.failures[position] = found
            continue
        pixels, decoded.facts[position] = found
        if len(pixels) > decoded.images.shape[1]:
            grey, decoded.images = decoded.images, array(3)
            for start in range(0, position, AHEAD):
                decoded.images[start : start + AHEAD] = grey[start : start + AHEAD]
        decoded.images[position] = pixels
    if folder:  # the notes come last: they make the folder whole
        if isinstance(decoded.images, np.memmap):
            decoded.images.flush()
        notes = {name: value for name, value in vars(decoded).items() if name != "images"}
        (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")
    return decoded


def _known(folder: Path, size: int) -> dict[str, tuple[Decoded, int]]:
    """The images of one size that the cache has, whatever list they belong to: by their keys, where each stands."""
    found: dict[str, tuple[Decoded, int]] = {}
    for notes in sorted(folder.glob(f"*/*/{NOTES}")):
        if (other := _cached(notes.parent, None, size)) is not None:
            found |= {other.keys[row]: (other, row) for row in other.facts}
    return found


def _cached(folder: Path, count: int | None, size: int) -> Decoded | None:
    """What a folder of the cache holds, if it is there and whole. Changes to the array stay in memory."""
    try:
        notes: dict[str, Any] = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        for name in ("failures", "facts"):
            notes[name] = {int(position): value for position, value in notes[name].items()}
        count = len(notes["keys"]) if count is None else count
        images = np.load(folder / PIXELS, mmap_mode="c")
        whole = images.dtype == np.uint8 and images.shape in ((count, 1, size, size), (count, 3, size, size))
        return Decoded(images, **notes) if whole else None
    except Exception:  # numpy and json fail in many ways on what is damaged
        return None

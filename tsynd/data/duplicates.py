"""Which images are the same, pixel for pixel or nearly; how much of a test set is copied; a table without copies."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tsynd.data.dataset import SPLITS
from tsynd.data.image_folder.listing import Item
from tsynd.utils.atomic_files import write_csv

GRID = 16
# Of the 256 bits of `nearly`. On 1,500 chest X-rays of 224 px a copy that was halved in size, saved as JPEG of quality 50,
# made darker or noisy differs in at most 11 bits, 99 % of copies in 9 or fewer; two images of different patients in 14 or more.
THRESHOLD = 10
# Hashes within the threshold agree in all bits of at least one band, since there are more bands than bits that may differ.
BANDS = 16
BLOCK = 1024
# Beginnings of names that often are a patient: a word with its number, or all before the last number.
PATTERNS = (r"((?:person|patient|subject|case|sub|pat|p|s)[-_ ]?\d+)(?=\D|$)", r"(.*\d.*?)[-_ ]+\d{1,5}$", r"(.+?)[-_ ]+\d{1,5}$")


@dataclass(frozen=True)
class ImageSummary:
    """What is known of one image, instead of its pixels: `exact` is a hash of them, `near` the bits of a rough one.

    `share` is how much of its range an image of more than 8 bits, or a black one, reaches; 1 for others.
    """

    name: str
    split: str
    label: str
    size: str
    kind: str
    exact: str
    near: np.ndarray
    constant: bool = False
    share: float = 1.0


def exactly(pixels: np.ndarray) -> str:
    """A hash of the pixels, their type and shape: the same for the same picture in any file format without loss."""
    digest = hashlib.blake2b(f"{pixels.dtype} {pixels.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def nearly(pixels: np.ndarray) -> np.ndarray:
    """A difference hash of (H, W) or (H, W, 3) pixels: (256,) bool, is each of 16 x 17 means brighter than its left neighbour?

    Few bits change with size, compression, brightness, contrast and noise; many with rotation, mirroring or a crop of more
    than a hundredth.

    >>> nearly(np.arange(32 * 34).reshape(32, 34)).all()
    np.True_
    """
    grey = pixels if pixels.ndim == 2 else pixels.mean(2)
    grid = np.asarray(Image.fromarray(grey.astype(np.float32)).resize((GRID + 1, GRID), Image.Resampling.BOX))
    return (grid[:, 1:] > grid[:, :-1]).ravel()


def near_pairs(hashes_NB: np.ndarray, threshold: int = THRESHOLD) -> Iterator[tuple[int, int]]:
    """All pairs of positions whose hashes, (N, 256) bool, differ in at most `threshold` < 16 bits, the smaller position first.

    Only hashes that agree in a band of bits are compared; the bands' bits are scattered over the image.

    >>> hashes = np.zeros((3, 256), dtype=bool)
    >>> hashes[1, :7], hashes[2] = True, True
    >>> list(near_pairs(hashes))
    [(0, 1)]
    """
    width = hashes_NB.shape[1]
    scattered_NB = hashes_NB[:, np.arange(width) * 97 % width]
    signs_NB = scattered_NB.astype(np.float32) * 2 - 1
    seen: set[tuple[int, int]] = set()
    for band in range(BANDS):
        packed = np.packbits(scattered_NB[:, band * width // BANDS : (band + 1) * width // BANDS], axis=1)
        _, bucket_N = np.unique(packed, axis=0, return_inverse=True)
        order = np.argsort(bucket_N.ravel(), kind="stable")
        edges = np.flatnonzero(np.diff(bucket_N.ravel()[order])) + 1
        for members in np.split(order, edges):
            for start in range(0, len(members) if len(members) > 1 else 0, BLOCK):
                part = members[start : start + BLOCK]
                differing = (width - signs_NB[part] @ signs_NB[members].T) / 2
                for one, other in zip(*np.nonzero(differing <= threshold), strict=True):
                    pair = (int(part[one]), int(members[other]))
                    if pair[0] < pair[1] and pair not in seen:
                        seen.add(pair)
                        yield pair


def clusters(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Pairs as sets that hang together, in the order of their first members.

    >>> clusters([(0, 4), (1, 2), (4, 7)])
    [[0, 4, 7], [1, 2]]
    """
    from scipy.sparse import coo_array, csgraph  # type: ignore[import-untyped]  # not for whoever only loads data

    if not pairs:
        return []
    one_P, other_P = np.array(pairs).T
    size = int(max(one_P.max(), other_P.max())) + 1
    _, label_N = csgraph.connected_components(coo_array((np.ones(len(pairs)), (one_P, other_P)), (size, size)), directed=False)
    found: dict[int, list[int]] = {}
    for place in np.unique(pairs).tolist():
        found.setdefault(label_N[place], []).append(place)
    return list(found.values())


def copied(prints: Sequence[ImageSummary]) -> list[str]:
    """How many images of one split are copies of images of another, a line for each pair of splits, test and train first.

    >>> bits = np.zeros(256, dtype=bool)
    >>> copied([ImageSummary("a", "train", "x", "", "", "1", bits), ImageSummary("b", "test", "y", "", "", "1", bits)])
    ['1 of 1 test images, 100 %, are exact copies of train images, 1 of them with another label']
    """
    lines = []
    for here, there in (("test", "train"), ("val", "train"), ("test", "val")):
        labels: dict[str, set[str]] = {}
        for one in prints:
            if one.split == there:
                labels.setdefault(one.exact, set()).add(one.label)
        own = [one for one in prints if one.split == here]
        if found := [one for one in own if one.exact in labels]:
            other = sum(labels[one.exact] != {one.label} for one in found)
            line = f"{len(found)} of {len(own)} {here} images, {len(found) / len(own):.0%}, are exact copies of {there} images"
            lines.append(line.replace("%", " %") + (f", {other} of them with another label" if other else ""))
    return lines


def suggested_groups(names: Sequence[str]) -> list[str] | None:
    """A group for each file by its name, where names look like patients with several images; None where they do not.

    >>> suggested_groups(["a/person1_left.png", "a/person1_right.png", "b/person2_left.png"])
    ['person1', 'person1', 'person2']
    >>> suggested_groups(["a/0001.png", "b/0002.png"]) is None
    True
    """
    stems = [Path(name).name.partition(".")[0] for name in names]
    for count in range(1, len(PATTERNS) + 1):
        matches = ([re.match(pattern, stem, re.IGNORECASE) for pattern in PATTERNS[:count]] for stem in stems)
        found = [next(filter(None, each), None) for each in matches]
        groups = [match[1] if match else stem for match, stem in zip(found, stems, strict=True)]
        sizes = Counter(groups)
        several = sum(size for size in sizes.values() if size > 1)
        if sum(map(bool, found)) >= 0.8 * len(names) and several >= 0.2 * len(names) and len(sizes) >= max(2, len(names) / 50):
            return groups
    return None


def write_clean_table(items: Sequence[Item], prints: Sequence[ImageSummary], out: Path) -> dict[str, int]:
    """Write a CSV without copies, in which images that may be of one patient share a group; paths are relative to it.

    Of exact copies one stays: that of the test set if there is one, then of validation. Copies that disagree about the label
    all go, as nobody can say which is right. Groups are the user's, or else those that names suggest; near duplicates join them.
    `prints` are of the items that can be read. Returned is how many images are `kept`, `copies` and `contradictory`.
    """
    by_name = {one.name: one for one in prints}
    readable = [item for item in items if item.name in by_name]
    labels: dict[str, set[str]] = {}
    for item in readable:
        labels.setdefault(by_name[item.name].exact, set()).add(item.label)
    kept: dict[str, Item] = {}
    for item in sorted(readable, key=lambda item: ("test", "val", "train", "").index(item.split or "")):
        if len(labels[by_name[item.name].exact]) == 1:
            kept.setdefault(by_name[item.name].exact, item)
    rows = sorted(kept.values(), key=lambda item: (SPLITS.index(item.split) if item.split else 0, item.name))
    guessed = None if any(item.group for item in rows) else suggested_groups([item.name for item in rows])
    groups = guessed or [item.group or "" for item in rows]
    first: dict[str, int] = {}
    pairs = [(first.setdefault(group, place), place) for place, group in enumerate(groups) if group]
    pairs += list(near_pairs(np.stack([by_name[item.name].near for item in rows]))) if rows else []
    for joined in clusters([pair for pair in pairs if pair[0] != pair[1]]):
        named = sorted({groups[place] for place in joined} - {""})
        for place in joined:
            groups[place] = "+".join(named) or f"like {rows[joined[0]].name}"
    splits = any(item.split for item in rows)
    table: list[list[str | None]] = [["path", "label", "group", *(["split"] if splits else [])]]
    for item, group in zip(rows, groups, strict=True):
        file = Path(os.path.relpath(item.file.absolute(), out.resolve().parent)).as_posix()
        table.append([file, item.label, group, *([item.split] if splits else [])])
    write_csv(out, table)
    contradictory = sum(len(labels[by_name[item.name].exact]) > 1 for item in readable)
    return {"kept": len(rows), "copies": len(readable) - len(rows) - contradictory, "contradictory": contradictory}

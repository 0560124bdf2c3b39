"""From what a check has seen of images: how much of the test set is copied, which names look like patients, and a clean table."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tsynd.data.dataset import SPLITS
from tsynd.data.duplicates import clusters, near_pairs
from tsynd.data.image_folder.listing import Item

# Beginnings of names that often are a patient: a word with its number, or all before the last number.
PATTERNS = (r"((?:person|patient|subject|case|sub|pat|p|s)[-_ ]?\d+)(?=\D|$)", r"(.*\d.*?)[-_ ]+\d{1,5}$", r"(.+?)[-_ ]+\d{1,5}$")


@dataclass(frozen=True)
class ImageSummary:
    """What is known of one image, instead of its pixels: `exact` is a hash of them, `near` the bits of a rough one."""

    name: str
    split: str
    label: str
    size: str
    kind: str
    exact: str
    near: np.ndarray
    constant: bool = False
    share: float = 1.0


def copied(prints: Sequence[ImageSummary]) -> list[str]:
    """How many images of one split are copies of images of another, a line for each pair of splits, test and train first.

    >>> bits = np.zeros(256, dtype=bool)
    >>> copied([ImageSummary("a", "train", "x", "", "", "1", bits), ImageSummary("b", "test", "y", "", "", "1", bits)])
    ['1 of 1 test images, 100 %, are exact copies of train images, 1 of them with another label']
    """
    lines = []
    for here, there in (("test", "train"), ("val", "train"), ("test", "val")):
        labels = {one.exact: set[str]() for one in prints if one.split == there}
        for one in prints:
            if one.split == there:
                labels[one.exact].add(one.label)
        own = [one for one in prints if one.split == here]
        found = [one for one in own if one.exact in labels]
        if found:
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


def clean_table(items: Sequence[Item], prints: Sequence[ImageSummary], out: Path) -> tuple[str, dict[str, int]]:
    """A CSV without copies, in which images that may be of one patient share a group.

    Of exact copies one stays: that of the test set if there is one, then of validation. Copies that disagree about the label
    all go, as nobody can say which is right. Groups are the user's, or else those that names suggest; near duplicates join them.

    Args:
        items: the images.
        prints: of those that can be read, by name.
        out: the file that will hold the table; its paths are relative to it.

    Returns:
        The text of the CSV, and how many images are `kept`, `copies` and `contradictory`.
    """
    by_name = {one.name: one for one in prints}
    readable = [item for item in items if item.name in by_name]
    order = {split: number for number, split in enumerate(("test", "val", "train", ""))}
    labels: dict[str, set[str]] = {}
    for item in readable:
        labels.setdefault(by_name[item.name].exact, set()).add(item.label)
    kept: dict[str, Item] = {}
    for item in sorted(readable, key=lambda item: order[item.split or ""]):
        if len(labels[by_name[item.name].exact]) == 1:
            kept.setdefault(by_name[item.name].exact, item)
    rows = sorted(kept.values(), key=lambda item: (SPLITS.index(item.split) if item.split else 0, item.name))
    guessed = None if any(item.group for item in rows) else suggested_groups([item.name for item in rows])
    groups = guessed or [item.group or "" for item in rows]
    members: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        members.setdefault(group or f"\0{place}", []).append(place)
    pairs = [(one[0], other) for one in members.values() for other in one[1:]]
    pairs += list(near_pairs(np.stack([by_name[item.name].near for item in rows]))) if rows else []
    for joined in clusters(pairs):
        named = sorted({groups[place] for place in joined} - {""})
        for place in joined:
            groups[place] = "+".join(named) or f"like {rows[joined[0]].name}"
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    splits = any(item.split for item in rows)
    table.writerow(["path", "label", "group", *(["split"] if splits else [])])
    above = out.resolve().parent
    for item, group in zip(rows, groups, strict=True):
        file = Path(os.path.relpath(item.file.absolute(), above)).as_posix()
        table.writerow([file, item.label, group, *([item.split] if splits else [])])
    contradictory = sum(len(labels[by_name[item.name].exact]) > 1 for item in readable)
    counts = {"kept": len(rows), "copies": len(readable) - len(rows) - contradictory, "contradictory": contradictory}
    return buffer.getvalue(), counts

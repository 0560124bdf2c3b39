"""Is a data set fit to train on? What there is, and what is wrong with it, image by image; nothing is printed here."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tsynd.data.dataset import SPLITS, Dataset
from tsynd.data.deduplication import ImageSummary, clean_table, copied, suggested_groups
from tsynd.data.duplicates import clusters, exactly, near_pairs, nearly
from tsynd.data.image_folder.decode_cache import file_key, in_parallel
from tsynd.data.image_folder.image_file import ENDINGS_OF, Picture, header_of, read_picture
from tsynd.data.image_folder.listing import Listing, Problem, find_images
from tsynd.data.image_folder.reading import DARK, assign_splits, crossing_groups
from tsynd.data.image_folder.remarks import remarks
from tsynd.data.loading import is_images, load, names_to_ignore
from tsynd.data.remarks import array_remarks
from tsynd.errors import TsyndError
from tsynd.utils.atomic_files import write_json, write_text
from tsynd.utils.cache import cache_entry
from tsynd.utils.progress import Progress, within
from tsynd.utils.safe_parsing import from_json
from tsynd.utils.validation import check_path

__all__ = ["QualityReport", "check"]


@dataclass
class QualityReport:
    """What `check` found.

    Attributes:
        data: as it was given.
        counts: images by split and class.
        sizes: images by size, such as "224 x 224", the most frequent first; `kinds` likewise by format and mode.
        findings: what is wrong; none if the data set is clean.
        notes: what is good to know, and is no fault.
        copies: how much of one split is copied from another, a sentence for each pair of splits.
        written: what a clean table holds, in a sentence; empty where none was asked for.
    """

    data: str
    counts: dict[str, dict[str, int]]
    sizes: dict[str, int]
    kinds: dict[str, int]
    findings: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    written: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything, for JSON."""
        found = [{"kind": one.kind, "text": one.text, "images": list(one.names)} for one in self.findings]
        return {**vars(self), "findings": found}


def check(data: str, *, write: Path | None = None, ignore: Sequence[str] = (), progress: Progress | None = None) -> QualityReport:
    """Look at every image of a folder, a CSV, an `.npz` or a data set by name.

    Found are: unreadable images, names that say another format, constant images, exact and near duplicates (within a split,
    across splits, with other labels), groups in several splits, classes and splits without images, rows of a CSV that are
    wrong, and 16-bit images that come out dark. Images in a file are named by split and position.

    Args:
        data: as `tsynd.load` takes it.
        write: a CSV to write: a folder or CSV without its copies, with groups; see `clean_table`.
        ignore: names of folders and files below a folder that are passed over, as in `tsynd.load`.
        progress: called with the number of images that have been looked at.

    Raises:
        TsyndError: when there is nothing to look at, or a table is asked for of data that are no image files.
    """
    check_path(data=data)
    if is_images(data):
        return _check_files(data, find_images(Path(data).expanduser(), names_to_ignore(ignore)), write, within("check", progress))
    if names_to_ignore(ignore):
        raise TsyndError(f"ignore is for folders of images, and {data} is none")
    if write:
        raise TsyndError(f"a clean table names image files, and {data} is none: give a folder or a CSV")
    dataset = load(data, progress=within("check", progress))
    looks = _look_at_arrays(dataset)
    found = QualityReport(
        data, _counts(looks, dataset.classes), _ranked([one.size for one in looks]), _ranked([one.kind for one in looks])
    )
    if dataset.task != "multi-label":
        for split, counts in found.counts.items():
            if lacking := [name for name in dataset.classes if not counts[name]]:
                text = f"{split} has no image of class {', '.join(map(repr, lacking))}"
                found.findings.append(Problem("missing class", text))
    splits = {split: getattr(dataset, split) for split in SPLITS}
    found.findings += [Problem(kind, text) for kind, text in array_remarks(splits) if kind != "copies"]
    found.notes += [note for note in dataset.notes if "not read" in note]
    found.findings += _look_alikes(looks)
    found.copies = copied(looks)
    return found


def _check_files(data: str, listing: Listing, write: Path | None, progress: Progress | None) -> QualityReport:
    problems, items = [*listing.problems, *remarks(listing)], listing.items
    try:
        split_of = assign_splits(listing)
    except TsyndError as error:
        problems.append(Problem("cannot be divided", str(error)))
        split_of = [item.split or "" for item in items]
    looks, unreadable, renamed = [], [], []
    for item, split, seen in zip(items, split_of, _looks(listing, progress), strict=True):
        if isinstance(seen, str):
            unreadable.append(Problem("unreadable", seen.replace(str(item.file), item.name, 1), (item.name,)))
            continue
        look = ImageSummary(item.name, split, item.label, *seen)
        looks.append(look)
        kind = look.kind.split(",")[0]
        if kind in ENDINGS_OF and item.file.suffix.lower() not in ENDINGS_OF[kind]:
            renamed.append(Problem("wrong ending", f"{item.name} is a {kind}, whatever its name says", (item.name,)))
    for file in listing.others:
        if content := header_of(file):
            name = file.relative_to(listing.root).as_posix()
            renamed.append(Problem("wrong ending", f"{name} is a {content}, but is not read: its name must say so", (name,)))
    groups = [
        Problem("group in several splits", f"group {group} has images in {' and '.join(splits)}", (group,))
        for group, splits in crossing_groups(items, split_of).items()
    ]
    dark = [one for one in looks if one.share < 1]
    if dark and max(one.share for one in dark) < DARK:
        text = f"{len(dark)} image(s) reach {max(one.share for one in dark):.1%} of their range at most: they come out dark"
        problems.append(Problem("dark", text, tuple(one.name for one in dark)))
    made = QualityReport(
        data, _counts(looks, listing.classes), _ranked([one.size for one in looks]), _ranked([one.kind for one in looks])
    )
    made.findings = [*problems, *unreadable, *renamed, *groups, *_look_alikes(looks)]
    if not listing.grouped:
        made.notes.append("no groups are given: whether images of one patient are in several splits cannot be seen")
        if guessed := suggested_groups([item.name for item in items]):
            many = f"{len(set(guessed))} groups, such as {guessed[0]!r}"
            made.notes.append(f"names look like patients with several images ({many}): --write FILE.csv makes groups of them")
    sides = [tuple(map(int, one.size.split(" x "))) for one in looks]
    if oblong := [1 - min(each) / max(each) for each in sides if len(set(each)) > 1]:
        text = f"{len(oblong)} image(s) are not square: padded by repeating the edge, up to {max(oblong):.0%} of an image"
        made.notes.append(f"{text}; tsynd run --crop cuts as much away instead")
    if len(listing.given) < len(SPLITS):
        made.notes.append(f"{', '.join(split for split in SPLITS if split not in listing.given)}: as tsynd divides them")
    made.copies = copied(looks)
    if write:
        text, counts = clean_table(items, looks, write)
        write_text(write, text)
        made.written = (
            f"{write}: {counts['kept']} images; left out: {counts['copies']} exact copies, "
            f"{counts['contradictory']} copies with different labels, {len(unreadable)} unreadable"
        )
    return made


def _looks(listing: Listing, progress: Progress | None) -> list[tuple[str, str, str, np.ndarray, bool, float] | str]:
    """What `_look` says of each image; the cache keeps it for the next check, of this folder or of a table of its images."""
    keys = [file_key(item.file) for item in listing.items]
    path = cache_entry("looks", os.path.abspath(listing.root)).with_suffix(".json")
    known: dict[str, Any] = {}
    for file in path.parent.glob("*.json"):
        with suppress(OSError, ValueError, TypeError):
            known |= from_json(file.read_text(encoding="utf-8"))
    new = [(item.file, key) for item, key in zip(listing.items, keys, strict=True) if key not in known]
    seen = in_parallel(_look, [file for file, _ in new], "looking at images", progress)
    made = dict(zip([key for _, key in new], seen, strict=True))
    for key in keys:
        if key not in made:
            *words, bits, constant, share = known[key]
            near = np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8)).astype(bool)
            made[key] = (*words, near, constant, share)
    if new:
        kept = {
            key: (*one[:3], np.packbits(one[3]).tobytes().hex(), *one[4:])
            for key, one in made.items()
            if not isinstance(one, str)
        }
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, kept)
    return [made[key] for key in keys]


def _look(file: Path) -> tuple[str, str, str, np.ndarray, bool, float] | str:
    """What is kept of a file, or what is wrong with it."""
    try:
        picture: Picture = read_picture(file)
    except TsyndError as error:
        return str(error)
    pixels = picture.pixels
    share = min(float(pixels.max()) / ((1 << picture.bits) - 1), 0.999)
    share = 1.0 if picture.bits == 8 and share > 1 / 255 else share
    constant = bool(pixels.max() == pixels.min())
    size = f"{pixels.shape[1]} x {pixels.shape[0]}"
    return size, f"{picture.format}, {picture.mode}", exactly(pixels), nearly(pixels), constant, share


def _look_at_arrays(data: Dataset) -> list[ImageSummary]:
    looks = []
    for split in SPLITS:
        part = getattr(data, split)
        for position, (image, label) in enumerate(zip(part.images.numpy(), part.labels.tolist(), strict=True)):
            pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, 2)
            name = (
                "+".join(c for c, one in zip(data.classes, label, strict=True) if one)
                if isinstance(label, list)
                else data.classes[label]
            )
            size, kind = f"{pixels.shape[1]} x {pixels.shape[0]}", "L" if len(image) == 1 else "RGB"
            constant = bool(pixels.max() == pixels.min())
            looks.append(ImageSummary(f"{split} {position}", split, name, size, kind, exactly(pixels), nearly(pixels), constant))
    return looks


def _look_alikes(looks: list[ImageSummary]) -> list[Problem]:
    """Constant images, and those that are the same, exactly or nearly."""
    problems = [Problem("constant", f"{one.name} has one value everywhere", (one.name,)) for one in looks if one.constant]
    looks = [one for one in looks if not one.constant]
    same: dict[str, list[ImageSummary]] = {}
    for one in looks:
        same.setdefault(one.exact, []).append(one)
    problems += [_alike("exact duplicates", group) for group in same.values() if len(group) > 1]
    firsts = [group[0] for group in same.values()]
    if firsts:
        pairs = list(near_pairs(np.stack([one.near for one in firsts])))
        groups = list(same.values())
        for places in clusters(pairs):
            problems.append(_alike("near duplicates", [one for place in places for one in groups[place]]))
    return sorted(problems, key=lambda one: ("across splits" not in one.kind, "(with labels" not in one.text))


def _alike(kind: str, looks: list[ImageSummary]) -> Problem:
    splits = sorted({one.split for one in looks}, key=lambda split: (*SPLITS, "").index(split))
    labels = sorted({one.label for one in looks})
    text = " = ".join(one.name for one in looks) if "exact" in kind else " ~ ".join(one.name for one in looks)
    if len(splits) > 1:
        kind += " across splits"
        text += f" (in {' and '.join(splits)})"
    if len(labels) > 1:
        text += f" (with labels {' and '.join(labels)})"
    return Problem(kind, text, tuple(one.name for one in looks))


def _counts(looks: list[ImageSummary], classes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Images by split and class; sets of several labels count for each combination that there is."""
    found = Counter((one.split, one.label) for one in looks)
    names = [*classes, *sorted({label for _, label in found} - set(classes))]
    splits = [split for split in (*SPLITS, "") if any(one == split for one, _ in found)]
    return {split or "not divided": {name: found[split, name] for name in names} for split in splits}


def _ranked(words: list[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())

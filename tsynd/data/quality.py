"""Is a data set fit to train on? What there is, and what is wrong with it, image by image; nothing is printed here."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tsynd.data.dataset import SPLITS
from tsynd.data.duplicates import ImageSummary, clusters, copied, exactly, near_pairs, nearly, suggested_groups, write_clean_table
from tsynd.data.image_folder.decode_cache import file_key, in_parallel
from tsynd.data.image_folder.image_file import ENDINGS_OF, header_of, read_picture
from tsynd.data.image_folder.listing import Listing, Problem, find_images
from tsynd.data.image_folder.reading import DARK, assign_splits, crossing_groups
from tsynd.data.loading import is_images, load, names_to_ignore
from tsynd.data.remarks import array_remarks, remarks
from tsynd.errors import TsyndError
from tsynd.utils.atomic_files import write_json
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
        write: a CSV to write: a folder or CSV without its copies, with groups (see `tsynd.data.duplicates.write_clean_table`).
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
    splits = {split: getattr(dataset, split) for split in SPLITS}
    looks = []
    for split, part in splits.items():
        for position, (image, label) in enumerate(zip(part.images.numpy(), part.labels, strict=True)):
            pixels, kind = (image[0], "L") if len(image) == 1 else (np.moveaxis(image, 0, 2), "RGB")
            name = dataset.classes[label] if label.ndim == 0 else "+".join(np.array(dataset.classes)[label.bool().numpy()])
            looks.append(ImageSummary(f"{split} {position}", split, name, *_summary(pixels, kind)))
    found = _report(data, looks, dataset.classes)
    for split, counts in found.counts.items() if dataset.task != "multi-label" else ():
        if lacking := [name for name in dataset.classes if not counts[name]]:
            found.findings.append(Problem("missing class", f"{split} has no image of class {', '.join(map(repr, lacking))}"))
    found.findings += [Problem(kind, text) for kind, text in array_remarks(splits) if kind != "copies"] + _look_alikes(looks)
    found.notes += [note for note in dataset.notes if "not read" in note]
    return found


def _check_files(data: str, listing: Listing, write: Path | None, progress: Progress | None) -> QualityReport:
    problems, items = [*listing.problems, *remarks(listing)], listing.items
    try:
        split_of = assign_splits(listing)
    except TsyndError as error:
        problems.append(Problem("cannot be divided", str(error)))
        split_of = [item.split or "" for item in items]
    looks, unreadable, renamed = [], [], []
    for item, split, summary in zip(items, split_of, _looks(listing, progress), strict=True):
        if isinstance(summary, str):
            unreadable.append(Problem("unreadable", summary.replace(str(item.file), item.name, 1), (item.name,)))
            continue
        looks.append(ImageSummary(item.name, split, item.label, *summary))
        kind = looks[-1].kind.split(",")[0]
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
    if dark and (largest := max(one.share for one in dark)) < DARK:
        text = f"{len(dark)} image(s) reach {largest:.1%} of their range at most: they come out dark"
        problems.append(Problem("dark", text, tuple(one.name for one in dark)))
    found = _report(data, looks, listing.classes)
    found.findings = [*problems, *unreadable, *renamed, *groups, *_look_alikes(looks)]
    if not listing.grouped:
        found.notes.append("no groups are given: whether images of one patient are in several splits cannot be seen")
        if guessed := suggested_groups([item.name for item in items]):
            many = f"{len(set(guessed))} groups, such as {guessed[0]!r}"
            found.notes.append(f"names look like patients with several images ({many}): --write FILE.csv makes groups of them")
    sides = [tuple(map(int, one.size.split(" x "))) for one in looks]
    if oblong := [1 - min(each) / max(each) for each in sides if len(set(each)) > 1]:
        text = f"{len(oblong)} image(s) are not square: padded by repeating the edge, up to {max(oblong):.0%} of an image"
        found.notes.append(f"{text}; tsynd run --crop cuts as much away instead")
    if len(listing.given) < len(SPLITS):
        found.notes.append(f"{', '.join(split for split in SPLITS if split not in listing.given)}: as tsynd divides them")
    if write:
        counts = write_clean_table(items, looks, write)
        found.written = (
            f"{write}: {counts['kept']} images; left out: {counts['copies']} exact copies, "
            f"{counts['contradictory']} copies with different labels, {len(unreadable)} unreadable"
        )
    return found


Summary = tuple[str, str, str, np.ndarray, bool, float]
"""What `ImageSummary` holds of the pixels: size, kind, exact, near, constant, share."""


def _summary(pixels: np.ndarray, kind: str, share: float = 1.0) -> Summary:
    size = f"{pixels.shape[1]} x {pixels.shape[0]}"
    return size, kind, exactly(pixels), nearly(pixels), bool(pixels.max() == pixels.min()), share


def _looks(listing: Listing, progress: Progress | None) -> list[Summary | str]:
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
    for key in known.keys() & set(keys):
        *words, bits, constant, share = known[key]
        near = np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8)).astype(bool)
        made[key] = (*words, near, constant, share)
    if new:
        read = {key: one for key, one in made.items() if not isinstance(one, str)}
        kept = {key: (*one[:3], np.packbits(one[3]).tobytes().hex(), *one[4:]) for key, one in read.items()}
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, kept)
    return [made[key] for key in keys]


def _look(file: Path) -> Summary | str:
    """What is kept of a file, or what is wrong with it."""
    try:
        picture = read_picture(file)
    except TsyndError as error:
        return str(error)
    share = min(float(picture.pixels.max()) / ((1 << picture.bits) - 1), 0.999)
    share = 1.0 if picture.bits == 8 and share > 1 / 255 else share
    return _summary(picture.pixels, f"{picture.format}, {picture.mode}", share)


def _look_alikes(looks: list[ImageSummary]) -> list[Problem]:
    """Constant images, and those that are the same, exactly or nearly."""
    problems = [Problem("constant", f"{one.name} has one value everywhere", (one.name,)) for one in looks if one.constant]
    same: dict[str, list[ImageSummary]] = {}
    for one in looks:
        if not one.constant:
            same.setdefault(one.exact, []).append(one)
    groups = list(same.values())
    problems += [_alike("exact duplicates", " = ", group) for group in groups if len(group) > 1]
    pairs = list(near_pairs(np.stack([group[0].near for group in groups]))) if groups else []
    problems += [_alike("near duplicates", " ~ ", [one for at in places for one in groups[at]]) for places in clusters(pairs)]
    return sorted(problems, key=lambda one: ("across splits" not in one.kind, "(with labels" not in one.text))


def _alike(kind: str, sign: str, looks: list[ImageSummary]) -> Problem:
    splits = sorted({one.split for one in looks}, key=(*SPLITS, "").index)
    labels = sorted({one.label for one in looks})
    text = sign.join(one.name for one in looks)
    if len(splits) > 1:
        kind += " across splits"
        text += f" (in {' and '.join(splits)})"
    if len(labels) > 1:
        text += f" (with labels {' and '.join(labels)})"
    return Problem(kind, text, tuple(one.name for one in looks))


def _report(data: str, looks: list[ImageSummary], classes: tuple[str, ...]) -> QualityReport:
    """What is counted; images of several labels count for each combination that there is."""
    found = Counter((one.split, one.label) for one in looks)
    names = [*classes, *sorted({label for _, label in found} - set(classes))]
    splits = [split for split in (*SPLITS, "") if any(one == split for one, _ in found)]
    counts = {split or "not divided": {name: found[split, name] for name in names} for split in splits}
    sizes, kinds = (dict(Counter(getattr(one, what) for one in looks).most_common()) for what in ("size", "kind"))
    return QualityReport(data, counts, sizes, kinds, copies=copied(looks))

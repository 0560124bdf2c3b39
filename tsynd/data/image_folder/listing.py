"""Where the images of a folder or a table are, of which class, group and split: nothing is opened, decoded or written."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

from tsynd.data.dataset import SPLITS
from tsynd.data.image_folder.dicom import dicom_group, is_dicom
from tsynd.data.image_folder.image_file import NO_IMAGES, is_image, numbered
from tsynd.data.image_folder.table import BETWEEN, SPLIT_NAMES, read_table
from tsynd.data.labels import NONE, class_key, class_names, composed, in_order
from tsynd.errors import TsyndError

# Where Hugging Face keeps the labels of a folder of images.
METADATA = "metadata.csv"
# What systems leave in folders.
LITTER = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found", "system volume information", "dicomdir")
# Folders of network drives, with thumbnails and what was deleted: their names begin so.
DRIVES = ("@", "#recycle", "#snapshot", "$recycle")


@dataclass(frozen=True)
class Item:
    """One image: where it is, its name in messages, its class; its group (a patient, say) and its split where they are given.

    `key` tells it from the others, wherever the set lies and however the path was spelled: below the root, or the split.
    """

    file: Path
    name: str
    key: str
    label: str
    group: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Problem:
    """What is wrong with a data set, in one sentence; `kind` is a word or two, `names` are the images that it concerns."""

    kind: str
    text: str
    names: tuple[str, ...] = ()


@dataclass
class Listing:
    """The images of a folder or table in a fixed order, what is wrong with them, and the files that were passed over.

    `spellings` counts the labels as they are written, `columns` are those of a table, and `drives` the folders that network
    drives have put among the images. `ignore` are patterns of names that the user wants to be passed over, `ignored` what was.
    """

    root: Path
    items: list[Item] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    spellings: Counter[str] = field(default_factory=Counter)
    columns: tuple[str, ...] = ()
    drives: set[Path] = field(default_factory=set)
    several: bool = False
    ignore: tuple[str, ...] = ()
    ignored: set[Path] = field(default_factory=set)

    def note(self, kind: str, text: str, *names: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, text, names))

    @property
    def given(self) -> tuple[str, ...]:
        """The splits that the user made, in order; none if the images are to be divided here."""
        return tuple(split for split in SPLITS if any(item.split == split for item in self.items))

    @property
    def grouped(self) -> bool:
        """Whether any image says which group it belongs to."""
        return any(item.group is not None for item in self.items)


def find_images(path: Path, ignore: tuple[str, ...] = ()) -> Listing:
    """List the images of a folder or of a CSV.

    A folder holds one folder for each class, or `train`, `val` and `test` (also `training`, `valid`, `validation`,
    `testing`) with these inside. Folders below a class are read too, and taken for groups: images below `cat/p7` and
    `dog/p7` are of one patient. Links are followed, unless they lead back up. Hidden files and what systems leave in folders
    are passed over; so are files with other endings, which `others` names.

    A CSV has the columns `path` (relative to the CSV) and `label`, and if need be `group` and `split`; more are ignored. Several
    labels of an image are joined by `|`, or have a column each: see `read_table`, also for folds (`table.csv#0`). A folder with
    a `metadata.csv`, the layout `imagefolder` of Hugging Face, is read as such a table.

    Args:
        path: the folder, or the CSV.
        ignore: names of folders and files below it that are passed over, with `*` for any letters: `("masks", "*_seg.png")`.

    Raises:
        TsyndError: nothing can be listed. What can be listed but not be trained on is in `problems`.
    """
    path, fold = numbered(path)
    if ignore and path.is_file():
        raise TsyndError(f"ignore {ignore[0]!r} is for folders, and {path} names its images itself: leave it out")
    listing = _table(path, fold=fold) if path.is_file() else _folder(Listing(path, ignore=ignore))
    if ignore and not listing.ignored:
        raise TsyndError(f"ignore {', '.join(map(repr, ignore))} names nothing below {path}")
    _add_groups(listing, path)
    listing.spellings = Counter(part for item in listing.items for part in _labels(listing, item) if part != NONE)
    names = class_names(listing.spellings)
    own = [[names.get(part, part) for part in _labels(listing, item)] for item in listing.items]
    listing.items = [replace(item, label=BETWEEN.join(each)) for item, each in zip(listing.items, own, strict=True)]
    listing.classes = in_order(names.values())
    if len(listing.classes) == 1 and not listing.several:
        text, inside = f"{path} must have at least two classes, found only {listing.classes[0]!r}", path / listing.classes[0]
        if path.is_dir() and not listing.given and len(_entries(inside)[0]) > 1:
            text += f": is it {inside} that you mean?"
        listing.note("one class", text)
    for split in () if listing.several else listing.given:
        if lacking := set(listing.classes) - {item.label for item in listing.items if item.split == split}:
            listing.note("missing class", f"{path}: {split} has no image of class {', '.join(map(repr, in_order(lacking)))}")
    if listing.given and not {"train", "test"} <= set(listing.given):
        missing = "test" if "train" in listing.given else "train"
        listing.note("missing split", f"{path} has {', '.join(listing.given)} but no {missing} images")
    return listing


def find_unsorted(path: Path, ignore: tuple[str, ...] = ()) -> Listing:
    """List images that need no class: one file, those that a CSV names, or all below a folder, in the order of their names.

    In a folder the first folder below a split, if there is one, may be a class, and the next one a group. Labels may be empty.
    """
    path, fold = numbered(path) if numbered(path)[0].suffix.lower() == ".csv" else (path, None)
    if path.is_file() and path.suffix.lower() == ".csv":
        listing = _table(path, labelled=False, fold=fold)
        if listing.problems:
            raise TsyndError(listing.problems[0].text)
    else:
        listing = Listing(path, ignore=ignore)
        for file in [path] if path.is_file() else walk(path, listing):
            if not is_image(file):
                listing.others.append(file)
            else:
                name = file.name if path.is_file() else file.relative_to(path).as_posix()
                split = SPLIT_NAMES.get(name.partition("/")[0].lower()) if "/" in name else None
                label, *inner = [composed(part) for part in Path(name).parts[1 if split else 0 : -1]] or [""]
                listing.items.append(Item(file, name, composed(name), label, inner[0] if inner else None, split))
    _add_groups(listing, path)
    return listing


def walk(folder: Path, listing: Listing | None = None, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every file below a folder, in the order of the names, hidden ones and litter left out; no link leads round in circles."""
    real = folder.resolve()
    if real not in above:
        for entry in _visible(folder, listing):
            yield from walk(entry, listing, (*above, real)) if entry.is_dir() else [entry]


def _folder(listing: Listing) -> Listing:
    path = listing.root
    folders, files = _entries(path, listing)
    named = {SPLIT_NAMES[folder.name.lower()]: folder for folder in folders if folder.name.lower() in SPLIT_NAMES}
    if len(named) not in (0, len(folders)):
        others = ", ".join(sorted({folder.name for folder in folders} - {folder.name for folder in named.values()}))
        raise TsyndError(f"{path} has split folders ({', '.join(named)}) beside others ({others}): use one kind")
    listing.others += files
    for split, above in sorted(named.items(), key=lambda pair: SPLITS.index(pair[0])) if named else [(None, path)]:
        folders, files = _entries(above, listing)
        if (above / METADATA).is_file() and any(map(is_image, files)):
            table = _table(above / METADATA)  # as Hugging Face lays it out
            listing.columns, listing.several = table.columns, listing.several or table.several
            listing.problems += table.problems
            for item in table.items:
                name = item.file.relative_to(path).as_posix()
                listing.items.append(replace(item, name=name, split=split or item.split))
            continue
        listing.others += files if split else []
        for folder in folders:
            _class(listing, folder, split)
    if not listing.items:
        found = "images without a class" if any(map(is_image, listing.others)) else NO_IMAGES
        raise TsyndError(f"{path} must have a folder of images for each class, at least two, found {found}")
    return listing


def _add_groups(listing: Listing, path: Path) -> None:
    """Groups that files bring: of DICOM the patient, of several slices or frames of one file that file.

    A CSV's own groups come first. In a folder, a series of slices is a problem: nobody has said which slices are meant.
    """
    several = Counter(numbered(item.file)[0] for item in listing.items)
    series: dict[str, list[str]] = {}
    for place, item in enumerate(listing.items):
        file, number = numbered(item.file)
        group = item.group if path.is_file() else None
        if group is None and is_dicom(file):
            group, of_series = dicom_group(file)
            series.setdefault(of_series or item.name, []).append(item.name)
        if group is None and item.group is None and number is not None and several[file] > 1:
            group = item.name.rpartition("#")[0]
        listing.items[place] = replace(item, group=group or item.group)
    if path.is_dir() and (long := [names for names in series.values() if len(names) > 1]):
        text = f"{path}: {sum(map(len, long))} files are slices of {len(long)} series, such as {long[0][0]} and {long[0][1]}"
        listing.note("series", f"{text}: name the slices that you want in a CSV", *chain(*long))


def _class(listing: Listing, folder: Path, split: str | None) -> None:
    """Add the images of one class folder."""
    before = len(listing.items)
    for file in walk(folder, listing, (listing.root.resolve(),)):
        inner = file.relative_to(folder).parts[:-1]
        if inner and split is None and inner[0].lower() in SPLIT_NAMES:
            raise TsyndError(f"{folder} has the split {inner[0]!r} in it: splits come first, as in {inner[0]}/{folder.name}")
        if not is_image(file):
            listing.others.append(file)
            continue
        name, key = file.relative_to(listing.root).as_posix(), composed(file.relative_to(folder.parent).as_posix())
        listing.items.append(Item(file, name, key, composed(folder.name), class_key(inner[0]) if inner else None, split))
    if len(listing.items) == before:
        listing.note("empty class", f"{folder} has {NO_IMAGES}")


def _labels(listing: Listing, item: Item) -> list[str]:
    """The labels of an image: one, or those that `|` stands between."""
    return [part.strip() for part in item.label.split(BETWEEN) if part.strip()] if listing.several else [item.label]


def _table(path: Path, labelled: bool = True, fold: int | None = None) -> Listing:
    table = read_table(path, labelled=labelled, fold=fold)
    listing, rows = Listing(path.parent, columns=table.columns, several=table.several), table.rows
    lines: dict[str, int] = {}
    has_split = any(row["split"] for _, row in rows)
    for line, row in rows:
        where = f"{path}, line {line}"
        name, label, split = row["path"], row["label"], row["split"].lower()
        if not name or (labelled and not label) or (has_split and not split):
            empty = "path" if not name else "split" if label else "label"
            listing.note("incomplete row", f"{where} has no {empty}", name)
        elif split and split not in SPLIT_NAMES:
            listing.note("unknown split", f"{where}: split must be train, val or test, got {row['split']!r}", name)
        else:
            written = name.replace("\\", "/") if not _is_file(path.parent / name) else name  # maybe on Windows
            file = Path(os.path.normpath(path.parent / written))
            first = lines.setdefault(os.path.abspath(file), line)
            if first != line:
                listing.note("duplicate row", f"{where} names {name} again, which line {first} has: an image has one row", name)
            elif not _is_file(numbered(file)[0]):
                listing.note("missing file", f"{where}: no such file: {file}", name)
            else:
                key, group = _key(file, path.parent), class_key(row["group"]) or None
                listing.items.append(Item(file, name, key, composed(label), group, SPLIT_NAMES.get(split)))
    if not listing.items:
        why = f": {listing.problems[0].text}" if listing.problems else ""
        raise TsyndError(f"{path} names no image that is there{why}")
    return listing


def _key(file: Path, root: Path) -> str:
    """The path of an image below the root, however both were spelled: where links lead, if they lead below it."""
    try:
        real = Path(os.path.relpath(file.parent.resolve() / file.name, root.resolve()))
        return composed((Path(os.path.relpath(file, root)) if real.parts[0] == ".." else real).as_posix())
    except ValueError:  # another drive of Windows
        return composed(file.as_posix())


def _is_file(path: Path) -> bool:
    """Whether there is such a file; no name that can be written into a table is an error."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a character that no name may have
        return False


def _entries(folder: Path, listing: Listing | None = None) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder."""
    visible = _visible(folder, listing)
    return [entry for entry in visible if entry.is_dir()], [entry for entry in visible if not entry.is_dir()]


def _visible(folder: Path, listing: Listing | None = None) -> list[Path]:
    """What a person sees in a folder, by name; the listing is told of folders of network drives, and of what it ignores."""
    listing = listing or Listing(folder)
    shown = {entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name.lower() not in LITTER}
    listing.ignored |= {entry for entry in shown if any(fnmatch(composed(entry.name), pattern) for pattern in listing.ignore)}
    listing.drives |= {entry for entry in shown - listing.ignored if entry.name.lower().startswith(DRIVES) and entry.is_dir()}
    return sorted(shown - listing.ignored - listing.drives, key=lambda entry: composed(entry.name))

"""Where the images of a folder or a table are, of which class, group and split: nothing is opened, decoded or written."""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tsynd.data.dataset import SPLITS
from tsynd.data.image_folder.image_file import ENDINGS
from tsynd.data.labels import class_names, composed, in_order
from tsynd.errors import DataUnavailable, TsyndError

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
COLUMNS = ("path", "label", "group", "split")
# What systems leave in folders. Names that begin with a dot are passed over too.
LITTER = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found", "system volume information")
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
    drives have put among the images.
    """

    root: Path
    items: list[Item] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    spellings: Counter[str] = field(default_factory=Counter)
    columns: tuple[str, ...] = ()
    drives: list[Path] = field(default_factory=list)

    @property
    def given(self) -> tuple[str, ...]:
        """The splits that the user made, in order; none if the images are to be divided here."""
        return tuple(split for split in SPLITS if any(item.split == split for item in self.items))

    @property
    def grouped(self) -> bool:
        """Whether any image says which group it belongs to."""
        return any(item.group is not None for item in self.items)


def find_images(path: Path) -> Listing:
    """List the images of a folder or of a CSV.

    A folder holds one folder for each class, or `train`, `val` and `test` (also `training`, `valid`, `validation`,
    `testing`) with these inside. Folders below a class are read too, and taken for groups: images below `cat/p7` and
    `dog/p7` are of one patient. Links are followed, unless they lead back up. Hidden files and what systems leave in folders
    are passed over; so are files with other endings, which `others` names.

    A CSV has the columns `path` (relative to the CSV) and `label`, and if need be `group` and `split`; more are ignored.

    Raises:
        TsyndError: nothing can be listed. What can be listed but not be trained on is in `problems`.
    """
    listing = _table(path) if path.is_file() else _folder(path)
    listing.spellings = Counter(item.label for item in listing.items)
    names = class_names(listing.spellings)
    listing.items = [replace(item, label=names[item.label]) for item in listing.items]
    listing.classes = in_order(names.values())
    if len(listing.classes) == 1:
        text = f"{path} must have at least two classes, found only {listing.classes[0]!r}"
        inside = listing.root / listing.classes[0]
        hint = f": is it {inside} that you mean?" if path.is_dir() and not listing.given and _looks_like_data(inside) else ""
        listing.problems.append(Problem("one class", text + hint))
    for split in listing.given:
        here = {item.label for item in listing.items if item.split == split}
        if lacking := [name for name in listing.classes if name not in here]:
            text = f"{path}: {split} has no image of class {', '.join(map(repr, lacking))}"
            listing.problems.append(Problem("missing class", text))
    if listing.given and not {"train", "test"} <= set(listing.given):
        missing = "test" if "train" in listing.given else "train"
        listing.problems.append(Problem("missing split", f"{path} has {', '.join(listing.given)} but no {missing} images"))
    return listing


def walk(folder: Path, above: tuple[Path, ...] = (), drives: list[Path] | None = None) -> Iterator[Path]:
    """Every file below a folder, in the order of the names, hidden ones and litter left out; no link leads round in circles."""
    real = folder.resolve()
    if real not in above:
        for entry in _visible(folder, drives):
            yield from walk(entry, (*above, real), drives) if entry.is_dir() else [entry]


def class_folder(parts: tuple[str, ...], splits: bool) -> str | None:
    """The folder that names the class of a file, from its path below the root: the first one below the split's, if any."""
    inside = parts[:-1]
    return (inside[1] if len(inside) > 1 else None) if splits else (inside[0] if inside else None)


def split_folders(path: Path) -> dict[str, Path]:
    """The folders of a set that are called as splits, by the split."""
    folders = [entry for entry in _visible(path) if entry.is_dir()]
    return {SPLIT_NAMES[folder.name.lower()]: folder for folder in folders if folder.name.lower() in SPLIT_NAMES}


def _folder(path: Path) -> Listing:
    listing = Listing(path)
    folders = [entry for entry in _visible(path, listing.drives) if entry.is_dir()]
    named = split_folders(path)
    if len(named) not in (0, len(folders)):
        others = ", ".join(sorted({folder.name for folder in folders} - {folder.name for folder in named.values()}))
        raise TsyndError(f"{path} has split folders ({', '.join(named)}) beside others ({others}): use one kind")
    listing.others += [entry for entry in _visible(path) if not entry.is_dir()]
    for split, above in sorted(named.items(), key=lambda pair: SPLITS.index(pair[0])) if named else [(None, path)]:
        for folder in [entry for entry in _visible(above, listing.drives if split else None) if entry.is_dir()]:
            _class(listing, folder, split)
    if not listing.items:
        loose = any(file.suffix.lower() in ENDINGS for file in listing.others)
        found = "images without a class" if loose else f"no images (files that end in {', '.join(ENDINGS)})"
        raise TsyndError(f"{path} must have a folder of images for each class, at least two, found {found}")
    return listing


def _class(listing: Listing, folder: Path, split: str | None) -> None:
    """Add the images of one class folder."""
    before = len(listing.items)
    for file in walk(folder, (listing.root.resolve(),), listing.drives):
        inner = file.relative_to(folder).parts[:-1]
        if inner and split is None and inner[0].lower() in SPLIT_NAMES:
            raise TsyndError(f"{folder} has the split {inner[0]!r} in it: splits come first, as in {inner[0]}/{folder.name}")
        if file.suffix.lower() not in ENDINGS:
            listing.others.append(file)
            continue
        name, key = file.relative_to(listing.root).as_posix(), composed(file.relative_to(folder.parent).as_posix())
        listing.items.append(Item(file, name, key, composed(folder.name), composed(inner[0]) if inner else None, split))
    if len(listing.items) == before:
        text = f"{folder} has no images (files that end in {', '.join(ENDINGS)})"
        listing.problems.append(Problem("empty class", text))


def _table(path: Path) -> Listing:
    listing = Listing(path.parent)
    lines: dict[Path, int] = {}
    listing.columns, rows = _rows(path)
    has_split = any(row["split"] for _, row in rows)
    for line, row in rows:
        where = f"{path}, line {line}"
        name, label, split = row["path"], row["label"], row["split"].lower()
        if not name or not label or (has_split and not split):
            empty = "path" if not name else "split" if label else "label"
            listing.problems.append(Problem("incomplete row", f"{where} has no {empty}", (name,)))
        elif split and split not in SPLIT_NAMES:
            text = f"{where}: split must be train, val or test, got {row['split']!r}"
            listing.problems.append(Problem("unknown split", text, (name,)))
        elif (file := _file(path.parent, name)) in lines:
            text = f"{where} names {name} again, which line {lines[file]} has: an image has one row"
            listing.problems.append(Problem("duplicate row", text, (name,)))
        else:
            lines[file] = line
            if not _is_file(file):
                listing.problems.append(Problem("missing file", f"{where}: no such file: {file}", (name,)))
            else:
                key = composed(Path(os.path.relpath(file, path.parent)).as_posix())
                listing.items.append(Item(file, name, key, composed(label), row["group"] or None, SPLIT_NAMES.get(split)))
    if not listing.items:
        first = f": {listing.problems[0].text}" if listing.problems else ""
        raise TsyndError(f"{path} names no image that is there{first}")
    return listing


def _rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """The names of all columns; the line number and our four columns of each row, empty where there is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataUnavailable(f"no such file: {path}") from None
    except UnicodeDecodeError as error:
        raise TsyndError(f"{path} must be a text file in UTF-8, it is not at byte {error.start}") from error
    except OSError as error:
        raise TsyndError(f"{path} cannot be read: {error.strerror}") from error
    first = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first and "," not in first else ",")
    try:
        names = [name.strip().lower() for name in next(table, [])]
    except csv.Error as error:
        raise TsyndError(f"{path}, line 1 cannot be read as CSV ({error})") from error
    if lacking := [name for name in COLUMNS[:2] if name not in names]:
        found = ", ".join(map(repr, names)) or "nothing"
        columns = "the columns path and label, and may have group and split"
        raise TsyndError(f"{path} must have {columns}: it lacks {lacking[0]}, its first line has {found}")
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise TsyndError(f"{path} has the column {twice[0]} twice")
    places = {name: names.index(name) for name in COLUMNS if name in names}
    rows = []
    try:
        for cells in table:
            if any(cell.strip() for cell in cells):
                row = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
                rows.append((table.line_num, dict.fromkeys(COLUMNS, "") | row))
    except csv.Error as error:
        raise TsyndError(f"{path}, line {table.line_num} cannot be read as CSV ({error})") from error
    return tuple(names), rows


def _file(folder: Path, name: str) -> Path:
    """The file that a table names, which may have been written on Windows."""
    if "\\" in name and not _is_file(folder / name):
        name = name.replace("\\", "/")
    return Path(os.path.normpath(folder / name))


def _is_file(path: Path) -> bool:
    """Whether there is such a file; no name that can be written into a table is an error."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a character that no name may have
        return False


def _visible(folder: Path, drives: list[Path] | None = None) -> list[Path]:
    """What a person sees in a folder, by name; folders of network drives are added to the list."""
    shown = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name.lower() not in LITTER]
    of_drive = [entry for entry in shown if entry.name.lower().startswith(DRIVES) and entry.is_dir()]
    if drives is not None:
        drives += of_drive
    return sorted((entry for entry in shown if entry not in of_drive), key=lambda entry: composed(entry.name))


def _looks_like_data(folder: Path) -> bool:
    return sum(entry.is_dir() for entry in _visible(folder)) > 1

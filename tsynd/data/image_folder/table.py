"""The rows of a CSV of images: path, label, group and split of each, several labels as one text, folds as splits."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from tsynd.data.labels import NONE
from tsynd.errors import DataUnavailable, TsyndError

SPLIT_NAMES = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(("val", "valid", "validation"), "val")
SPLIT_NAMES |= dict.fromkeys(("test", "testing"), "test")
COLUMNS = ("path", "label", "group", "split")
# Between the labels of an image that has several.
BETWEEN = "|"
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no", "")


@dataclass(frozen=True)
class Table:
    """A CSV: the names of all its columns, the line number and our four columns of each row, empty where there is none.

    `several`: whether an image can have several labels, joined by `|`, or `none`.
    """

    columns: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]
    several: bool


def read_table(path: Path, *, labelled: bool = True, fold: int | None = None) -> Table:
    """Read a CSV of images, with commas or semicolons; `labelled`: whether it needs labels.

    Without a column `label`, columns that hold nothing but 0 and 1 are labels, of which an image may have several. A column
    `split` may hold folds instead: 0, 1, 2 or fold0, fold1 and so on. Then `fold` is for testing, the next one for validation,
    and all others are for training.

    Raises:
        TsyndError: when it cannot be read, lacks a column, or has folds of which none is chosen.
        DataUnavailable: when it is not there.
    """
    names, spelled, lines = _cells(path)
    if labelled and "path" in names and "label" not in names:
        names, lines = _one_label(names, spelled, lines)
    if lacking := [name for name in COLUMNS[: 2 if labelled else 1] if name not in names]:
        found = ", ".join(map(repr, names)) or "nothing"
        columns = "the columns path and label, and may have group and split"
        raise TsyndError(f"{path} must have {columns}: it lacks {lacking[0]}, its first line has {found}")
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise TsyndError(f"{path} has the column {twice[0]} twice")
    places = {name: names.index(name) for name in COLUMNS if name in names}
    rows = [
        (line, dict.fromkeys(COLUMNS, "") | {name: cells[place] if place < len(cells) else "" for name, place in places.items()})
        for line, cells in lines
    ]
    _choose_fold(path, [row for _, row in rows], fold, labelled)
    several = len(names) > len(spelled) or any(BETWEEN in row["label"] for _, row in rows)
    return Table(tuple(names), rows, several)


def _cells(path: Path) -> tuple[list[str], list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, as we compare them and as they are written, and each line's number and cells."""
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
    lines = []
    try:
        spelled = [name.strip() for name in next(table, [])]
        for cells in table:
            if any(cell.strip() for cell in cells):
                lines.append((table.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise TsyndError(f"{path}, line {table.line_num or 1} cannot be read as CSV ({error})") from error
    names = ["path" if name.lower() == "file_name" else name.lower() for name in spelled]  # as Hugging Face calls it
    return names, spelled, lines


def _one_label(
    names: list[str], spelled: list[str], lines: list[tuple[int, list[str]]]
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Join columns of 0 and 1 into one column `label`, which comes last; unchanged where there are none."""
    full = [(line, [*cells, *[""] * (len(names) - len(cells))]) for line, cells in lines]
    found = [{cells[place].lower() for _, cells in full} for place in range(len(names))]
    places = [at for at, name in enumerate(names) if name not in COLUMNS and found[at] <= {*YES, *NO} and found[at] & {*YES}]
    if not places:
        return names, lines
    present = [[spelled[at] for at in places if cells[at].lower() in YES] for _, cells in full]
    return [*names, "label"], [
        (line, [*cells, BETWEEN.join(has) or NONE]) for (line, cells), has in zip(full, present, strict=True)
    ]


def _choose_fold(path: Path, rows: list[dict[str, str]], fold: int | None, needed: bool) -> None:
    """Turn folds in the column split into test, val and train, in place."""
    found = {row["split"]: re.fullmatch(r"(?:fold)?[ _-]?(\d+)", row["split"].lower()) for row in rows}
    folds = sorted({int(match[1]) for match in found.values() if match})
    if not folds or not all(found.values()):
        if fold is not None:
            raise TsyndError(f"{path}#{fold} means a fold, and the column split of {path.name} holds none")
        return
    if fold is None and needed:
        raise TsyndError(f"{path} has {len(folds)} folds in its column split: name the one to test on, as in {path}#{folds[0]}")
    if fold is not None and fold not in folds:
        raise TsyndError(f"{path}#{fold}: the folds are {', '.join(map(str, folds))}")
    after = folds[(folds.index(fold) + 1) % len(folds)] if fold is not None and len(folds) > 2 else None
    for row in rows:
        own = int(re.sub(r"\D", "", row["split"]))
        row["split"] = "" if fold is None else "test" if own == fold else "val" if own == after else "train"

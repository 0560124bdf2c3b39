"""An expert's decisions about synthetic images, one row each in a CSV that is tied to the images it is about."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tsynd.data.labels import numbers_of
from tsynd.errors import DataUnavailable, TsyndError
from tsynd.targeting import Synthesis
from tsynd.targeting.synthesis import identity
from tsynd.utils.atomic_files import write_csv
from tsynd.utils.rules import validated
from tsynd.utils.validation import check_kind, check_name, check_whole

__all__ = ["Decision", "counts", "read_review", "reviewed", "write_review"]

COLUMNS = ("index", "source_index", "label", "decision", "new_label", "reviewer", "time", "synthesis")
DECISIONS = ("accept", "reject", "relabel")


@dataclass(frozen=True)
class Decision:
    """What was decided about one image: `accept`, `reject` or `relabel` (to class `new_label`), by whom and when."""

    decision: str
    new_label: int | None = None
    reviewer: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        check_name("decision", self.decision, DECISIONS)
        if (self.new_label is not None) != (self.decision == "relabel"):
            raise TsyndError(f"a new label goes with relabel and with nothing else, got {self.decision} and {self.new_label}")


@validated
def write_review(path: str | Path, synthesis: Synthesis, decisions: Mapping[int, Decision]) -> None:
    """Write decisions, by the image's position in the synthesis, whole or not at all."""
    _check(synthesis, decisions)
    name, rows = identity(synthesis), [COLUMNS]
    for index, made in sorted(decisions.items()):  # csv writes None as nothing
        about: Any = (index, int(synthesis.sources[index]), numbers_of(synthesis.labels[index]))
        rows.append((*about, made.decision, made.new_label, made.reviewer, made.time, name))
    write_csv(Path(path), rows)


@validated
def read_review(path: str | Path, synthesis: Synthesis, classes: int | None = None) -> dict[int, Decision]:
    """Read decisions about a synthesis; a spreadsheet may have saved the file again, with commas or semicolons.

    Args:
        path: what `write_review`, the widget or the review page wrote.
        synthesis: what it must be about.
        classes: how many there are, so that a new label can be checked; unchecked without.

    Raises:
        TsyndError: when it is a review of other images or a row makes no sense; the message names the row.
        DataUnavailable: when there is no such file.
    """
    found: dict[int, Decision] = {}
    for where, row in _rows(Path(path), synthesis):
        if not _is_real(row):
            index, made = _decision(row, where, synthesis, classes)
            if index in found:
                raise TsyndError(f"{where}: a second decision on image {index}: keep one row for each image")
            found[index] = made
    return found


def blind_agreement(path: Path, synthesis: Synthesis) -> dict[str, dict[str, int]] | None:
    """How many real and synthetic images a blind review saw, gave their own label, and rejected; None if it was not blind."""
    found = {kind: dict.fromkeys(("images", "label_confirmed", "rejected"), 0) for kind in ("real", "synthetic")}
    for _, row in _rows(path, synthesis):
        tally = found["real" if _is_real(row) else "synthetic"]
        tally["images"] += 1
        tally["label_confirmed"] += row["decision"] == "accept"
        tally["rejected"] += row["decision"] == "reject"
    return found if found["real"]["images"] else None


def _is_real(row: Mapping[str, str | None]) -> bool:
    """Whether a row is about a real image that a blind review mixed in."""
    return (row["index"] or "").startswith("real ")


def _rows(path: Path, synthesis: Synthesis) -> list[tuple[str, dict[str, str | None]]]:
    """The rows of a review, each with where it stands, if they are about these images."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        table = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in text.partition("\n")[0] else ",")
        columns = table.fieldnames or []
        rows = [(f"{path}, line {table.line_num}", row) for row in table]
    except FileNotFoundError as error:
        raise DataUnavailable(f"no such file: {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TsyndError(f"{path} cannot be read as a review: {error}") from error
    if missing := [column for column in COLUMNS if column not in columns]:
        raise TsyndError(f"{path} is not a review: it lacks the columns {', '.join(missing)}")
    name = identity(synthesis)
    for where, row in rows:
        if row["synthesis"] != name:
            raise TsyndError(f"{where}: this is a review of other images ({row['synthesis']}), not of {name}")
    return rows


def reviewed(synthesis: Synthesis, decisions: Mapping[int, Decision]) -> Synthesis:
    """The images that an expert let pass, relabelled where they said so; rejected and **unreviewed ones are left out**.

    Raises:
        TsyndError: when none is left.
    """
    _check(synthesis, decisions)
    kept = [index for index, made in sorted(decisions.items()) if made.decision != "reject"]
    if not kept:
        raise TsyndError(f"the review lets no image pass: {len(decisions)} of {len(synthesis)} were reviewed, all rejected")
    passed = synthesis[torch.tensor(kept)]
    given = [decisions[index].new_label for index in kept]
    if given.count(None) == len(given):
        return passed
    labels = [label if new is None else new for label, new in zip(passed.labels.tolist(), given, strict=True)]
    return replace(passed, labels=torch.tensor(labels))


def counts(synthesis: Synthesis, decisions: Mapping[int, Decision]) -> dict[str, int]:
    """How many images were accepted, rejected, relabelled, and not looked at."""
    _check(synthesis, decisions)
    made = [each.decision for each in decisions.values()]
    return {name: made.count(name) for name in DECISIONS} | {"unreviewed": len(synthesis) - len(made)}


@validated
def _check(synthesis: Synthesis, decisions: Mapping[int, Decision]) -> None:
    """Refuse what is no synthesis, and what is no decisions about its images."""
    for index, made in decisions.items():
        check_kind(Decision, decision=made)
        check_whole(index=index)
        if not 0 <= index < len(synthesis):
            raise TsyndError(f"a decision is about an image 0 to {len(synthesis) - 1}, got {index}")


def _decision(row: Mapping[str, str | None], where: str, synthesis: Synthesis, classes: int | None) -> tuple[int, Decision]:
    """One row, checked against the image that it is about."""

    def number(name: str) -> int:
        try:
            return int(row[name] or "")
        except ValueError:
            raise TsyndError(f"{where}: {name} must be a whole number, got {row[name]!r}") from None

    index, source, several = number("index"), number("source_index"), synthesis.labels.ndim == 2
    label = (row["label"] or "").strip() if several else str(number("label"))
    if not 0 <= index < len(synthesis):
        raise TsyndError(f"{where}: index must be between 0 and {len(synthesis) - 1}, got {index}")
    true = numbers_of(synthesis.labels[index])
    for name, given, known in (("source_index", str(source), str(int(synthesis.sources[index]))), ("label", label, true)):
        if given != known:
            raise TsyndError(f"{where}: {name} of image {index} is {known}, got {given}")
    if several and row["new_label"]:
        raise TsyndError(f"{where}: images with several labels are accepted or rejected, got the new label {row['new_label']}")
    new_label = number("new_label") if row["new_label"] else None
    if new_label is not None and (new_label < 0 or (classes is not None and new_label >= classes)):
        raise TsyndError(f"{where}: new_label must be a class, 0 to {classes - 1 if classes else '…'}, got {new_label}")
    try:
        return index, Decision(row["decision"] or "", new_label, row["reviewer"] or "", row["time"] or "")
    except TsyndError as error:
        raise TsyndError(f"{where}: {error}") from error
